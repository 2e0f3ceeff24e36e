//! Execution algorithms and latency models of other libraries.

use std::ffi::CStr;
use std::sync::Arc;

use crate::common::{HOUR, TestResult, TestRun, World, at, buy, day_bar, flat, volume};
use crate::foreign::read;
use ml4t_abi::{
    Action, Answer, ExecutorContext, ExecutorModel, Kind, LatencyContext, LatencyOutput, Message, Model, OpenOrder,
    OrderRecord, OrderType, Orders, Status, export_executor, export_model,
};
use ml4t_sim::engine::{Api, Idle, Simulator, Strategy};
use ml4t_sim::error::{Result, SimError};
use ml4t_sim::ids::{InstrumentId, OrderId};
use ml4t_sim::latency::Delay;
use ml4t_sim::order::{OrderRequest, Side};
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::{Keep, TableRecorder};
use ml4t_sim::venue::SimulatedVenue;
use ml4t_sim::worked::{Progress, Standing};

/// A fifth of what the market has traded; what it does after `params[0]` questions says `params[1]`.
#[derive(Clone)]
struct Share {
    patience: f64,
    then: f64,
    asked: f64,
}

impl ExecutorModel for Share {
    const NAME: &'static CStr = c"Share";

    fn new(params: &[f64]) -> std::result::Result<Self, String> {
        let &[patience, then] = params else { return Err("two parameters".into()) };
        Ok(Self { patience, then, asked: 0.0 })
    }

    fn reset(&mut self, _seed: u64) {
        self.asked = 0.0;
    }

    fn evaluate(&mut self, context: &ExecutorContext, open: &[OpenOrder], orders: &mut Orders<'_>) -> Answer {
        assert_eq!(open.len(), context.n_open_orders as usize);
        self.asked += 1.0;
        if self.asked > self.patience {
            return match self.then {
                0.0 => Ok(Status::REJECT),
                1.0 => Err("no more patience".into()),
                more => {
                    orders.push(market(context, more))?;
                    Ok(Status::OK)
                }
            };
        }
        let left = context.quantity - context.filled - context.working;
        let lots = (left.min(context.volume / 5.0) / context.lot_size).floor();
        if lots > 0.0 {
            orders.push(market(context, lots * context.lot_size))?;
        }
        Ok(Status::OK)
    }
}

fn market(context: &ExecutorContext, quantity: f64) -> OrderRecord {
    let quantity = quantity * f64::from(context.header.side);
    OrderRecord { action: Action::NEW, order_type: OrderType::MARKET, quantity, ..OrderRecord::UNSET }
}

export_executor!(share: Share);

/// An hour for orders, none for the rest.
#[derive(Clone)]
struct Hour;

impl Model for Hour {
    type Context = LatencyContext;
    type Output = LatencyOutput;
    const KIND: Kind = Kind::LATENCY;
    const NAME: &'static CStr = c"Hour";

    fn new(_params: &[f64]) -> std::result::Result<Self, String> {
        Ok(Self)
    }

    fn evaluate(&mut self, context: &LatencyContext, output: &mut LatencyOutput) -> Answer {
        let wait = if context.venue == 9 { f64::NAN } else { 3.6e12 };
        output.delay_ns = if context.message == Message::SUBMIT { wait } else { 0.0 };
        Ok(Status::OK)
    }
}

export_model!(hour: Hour);

/// Has an order worked from the first instant on.
struct Once {
    params: [f64; 2],
    side: Side,
    quantity: i64,
    number: u32,
}

impl Strategy for Once {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        if self.number == 0 {
            let executor = read(share::share, &self.params, Kind::EXECUTOR, |_| {})?.into_executor();
            let request = OrderRequest::market(InstrumentId(0), self.side, self.quantity);
            self.number = api.execute(&request, executor)?;
        }
        Ok(())
    }
}

fn world() -> World {
    let mut world = World::new();
    let bars = (1..=6).map(|day| volume(day_bar("AAA", day, flat(10.0)), 100.0)).collect::<Vec<_>>();
    world.bars("1d", &bars);
    world
}

fn work(world: &World, params: [f64; 2], quantity: i64) -> std::result::Result<(TestRun, Standing), SimError> {
    let (mut run, _) = world.start()?;
    let mut once = Once { params, side: Side::Buy, quantity, number: 0 };
    run.run(&mut once)?;
    let worked = run.state.worked(once.number);
    Ok((run, worked))
}

#[test]
fn an_algorithm_trades_its_share_until_nothing_is_left() -> TestResult {
    let (run, worked) = work(&world(), [100.0, 0.0], 50)?;
    // At the first question no volume is new; then 20 a day, and what is left.
    let sizes: Vec<i64> = run.recorder.fills().map(|fill| fill.quantity).collect();
    assert_eq!(sizes, [20, 20, 10]);
    assert_eq!((worked.progress, worked.filled), (Progress::Filled, 50));
    assert!(run.state.orders.iter().all(|order| order.request.worked == 1));
    assert_eq!(run.state.orders_of_worked(1).count(), 3);
    Ok(())
}

#[test]
fn an_algorithm_may_give_up_and_may_fail() -> TestResult {
    let (run, worked) = work(&world(), [2.0, 0.0], 50)?;
    assert_eq!((run.recorder.fills().len(), worked.progress, worked.filled), (1, Progress::Canceled, 20));
    let error = work(&world(), [2.0, 1.0], 50).err().map(|error| error.message);
    assert_eq!(error.as_deref(), Some("executor Share version 1, AAA, 1970-01-04T16:00:00Z: no more patience"));
    Ok(())
}

#[test]
fn nobody_trades_more_than_was_ordered() {
    let error = work(&world(), [2.0, 31.0], 50).err().map(|error| error.message);
    let expected = "executor Share version 1, AAA, 1970-01-04T16:00:00Z: it asks for 31 more, and 30 are left to send";
    assert_eq!(error.as_deref(), Some(expected));
}

#[test]
fn a_split_scales_what_is_left() -> TestResult {
    let mut world = world();
    world.split(4, "AAA", 3, 2)?;
    let (run, worked) = work(&world, [100.0, 0.0], 50)?;
    // 20 were bought when the split came: they are 30 of 75 then.
    let sizes: Vec<i64> = run.recorder.fills().map(|fill| fill.quantity).collect();
    assert_eq!(sizes, [20, 30, 15]);
    assert_eq!((worked.quantity, worked.filled, worked.progress), (75, 75, Progress::Filled));
    Ok(())
}

#[test]
fn a_quantity_off_the_lot_or_without_one_is_refused() {
    for quantity in [0, -5] {
        assert!(work(&world(), [1.0, 0.0], quantity).is_err());
    }
    let mut lots = world();
    lots.instrument("AAA", |spec| spec.lot_size = 10);
    assert!(work(&lots, [1.0, 0.0], 15).is_err());
    assert!(work(&lots, [1.0, 0.0], 20).is_ok());
}

fn waiting(venue: u32) -> std::result::Result<TestRun, SimError> {
    let mut world = world();
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let mut plan = world.plan()?;
    plan.models.latency = vec![read(hour::hour, &[], Kind::LATENCY, |_| {})?.into_latency()];
    for instrument in &mut plan.instruments {
        instrument.latency.submit = Delay::of_model(0);
        instrument.latency.venue = venue;
    }
    let plan = Arc::new(plan);
    let (source, venue) = (ColumnSource::new(Arc::clone(&plan)), SimulatedVenue::new(&plan)?);
    let recorder = TableRecorder::new(&plan, Keep::All, None);
    let mut run = Simulator::new(plan, source, venue, recorder)?;
    let mut script = world.script.clone();
    script.on_start(&mut run.api())?;
    while run.state.orders.is_empty() && run.run_instants(&mut script, 1)? {}
    Ok(run)
}

#[test]
fn a_latency_model_decides_when_an_order_arrives() -> TestResult {
    let mut run = waiting(0)?;
    assert_eq!(run.state.order(OrderId(0)).ts_active, at(1, 16, 0) + HOUR);
    run.run(&mut Idle)?;
    assert_eq!(run.recorder.fills().next().map(|fill| fill.ts), Some(at(2, 9, 30)));
    Ok(())
}

#[test]
fn what_is_no_latency_is_an_error_with_model_instrument_order_and_time() {
    let error = waiting(9).err().map(|error| error.message);
    let expected = "model Hour version 1, AAA, order 1, 1970-01-02T16:00:00Z: delay_ns NaN; it must be 0 or more, and \
                    within 64 bits";
    assert_eq!(error.as_deref(), Some(expected));
}
