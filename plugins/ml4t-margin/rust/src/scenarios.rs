//! Margin by the worst of many moves.

use core::ffi::CStr;
use std::collections::BTreeMap;

use ml4t_abi::{Answer, Holding, Kind, MarginContext, MarginOutput, PortfolioModel, Status, export_portfolio_model};

use crate::symbols::Bound;
use crate::{first, larger, whole};

/// Number of an underlying and its lowest and highest move; and the minimum of an instrument.
type Place = (usize, f64, f64, f64);

#[derive(Clone)]
struct PortfolioMargin {
    initial: f64,
    points: u32,
    down: f64,
    up: f64,
    places: Bound<Place>,
}

/// A holding: its place among all, what it is worth, and what it needs at least.
struct Member {
    place: usize,
    value: f64,
    least: f64,
}

/// The holdings of one underlying, and its lowest and highest move.
struct Underlying {
    moves: (f64, f64),
    members: Vec<Member>,
}

impl PortfolioMargin {
    /// The holdings by underlying, in the sequence in which those appear.
    fn underlyings(&self, holdings: &[Holding]) -> Result<Vec<Underlying>, String> {
        let mut found: Vec<Underlying> = Vec::new();
        let mut at = BTreeMap::new();
        for (k, holding) in holdings.iter().enumerate() {
            let alone = (holding.asset as usize, self.down, self.up, 0.0);
            let needed = "classes, underlyings or minimum";
            let (number, down, up, minimum) = self.places.of(holding.asset, "PortfolioMargin", needed, alone)?;
            let value = holding.quantity * holding.mark.abs() * holding.multiplier * holding.fx;
            let least = holding.quantity.abs() * minimum * holding.fx;
            let index = *at.entry(number).or_insert(found.len());
            if index == found.len() {
                found.push(Underlying { moves: (down, up), members: Vec::new() });
            }
            found[index].members.push(Member { place: k, value, least });
        }
        Ok(found)
    }

    /// The worst loss of an underlying, and at which move.
    fn worst(&self, net: f64, (down, up): (f64, f64)) -> (f64, f64) {
        let (mut worst, mut at, last) = (0.0, 0.0, self.points - 1);
        for k in 0..self.points {
            let step = if k == last { up } else { down + (up - down) * f64::from(k) / f64::from(last) };
            let loss = -(net * step);
            if loss > worst {
                (worst, at) = (loss, step);
            }
        }
        (worst, at)
    }
}

/// The sum, from 0 on and in sequence, as in Python.
fn total(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

impl PortfolioModel for PortfolioMargin {
    type Context = MarginContext;
    type Output = MarginOutput;
    const KIND: Kind = Kind::MARGIN;
    const NAME: &'static CStr = c"PortfolioMargin";

    fn new(params: &[f64]) -> Result<Self, String> {
        let ([initial, points, down, up, mark], places) = first("PortfolioMargin", params)?;
        if points < 2.0 {
            return Err(format!("PortfolioMargin: points {points}"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the Python class has checked it")]
        let points = points as u32;
        let places = places.chunks_exact(4).map(|place| (whole(place[0]), place[1], place[2], place[3]));
        Ok(Self { initial, points, down, up, places: Bound::new(mark, places) })
    }

    fn evaluate(
        &mut self,
        _context: &MarginContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        output: &mut MarginOutput,
    ) -> Answer {
        let mut maintenance = 0.0;
        for Underlying { moves, members } in self.underlyings(holdings)? {
            let (worst, step) = self.worst(total(members.iter().map(|member| member.value)), moves);
            let floor = total(members.iter().map(|member| member.least));
            if floor > worst {
                maintenance += floor;
                for member in &members {
                    amounts[member.place] = member.least;
                }
                continue;
            }
            maintenance += worst;
            let loss = |member: &Member| larger(0.0, -(member.value * step));
            let together = total(members.iter().map(loss));
            for member in &members {
                amounts[member.place] = if together > 0.0 { loss(member) * worst / together } else { 0.0 };
            }
        }
        (output.initial, output.maintenance) = (self.initial * maintenance, maintenance);
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_portfolio: PortfolioMargin);
