//! `VolumeShare` of `ml4t-slippage` as a library of its own: no Python, nothing but `ml4t-abi`.

use core::ffi::CStr;

use ml4t_abi::{Answer, Flag, Kind, Model, SlippageContext, SlippageOutput, Status, export_model};

#[derive(Clone)]
struct VolumeShare {
    volume_limit: f64,
    price_impact: f64,
}

impl Model for VolumeShare {
    type Context = SlippageContext;
    type Output = SlippageOutput;
    const KIND: Kind = Kind::SLIPPAGE;
    const NAME: &'static CStr = c"VolumeShare";
    const FLAGS: u32 = Flag::NEEDS_BAR.0;

    fn new(params: &[f64]) -> Result<Self, String> {
        let &[volume_limit, price_impact] = params else {
            return Err(format!("expected volume_limit and price_impact, found {params:?}"));
        };
        Ok(Self { volume_limit, price_impact })
    }

    fn evaluate(&mut self, c: &SlippageContext, out: &mut SlippageOutput) -> Answer {
        if c.volume.is_nan() {
            return Err("VolumeShare needs volume".into());
        }
        let cap = (self.volume_limit * c.volume - c.volume_used).max(0.0);
        let filled = c.volume_used + c.quantity.min(cap);
        let limit = self.volume_limit;
        let share = if c.volume > 0.0 { (filled / c.volume).min(limit) } else { limit };
        out.adjustment = c.price.abs() * (self.price_impact * (share * share));
        out.spread = 0.0;
        out.quantity_cap = cap;
        Ok(Status::OK)
    }
}

export_model!(volume_share: VolumeShare);
