//! Models exported by the macros, called as an engine calls them.

use core::ffi::{CStr, c_void};

use ml4t_abi::{
    Action, Answer, Eval, EvalFill, EvalStrategy, FillContext, FillModel, FillOutput, FillSlice, Flag, Header, Kind,
    Level, Life, Liquidity, Model, ModelTable, OrderRecord, OrderType, Orders, Slices, SlippageContext, SlippageOutput,
    Status, StrategyContext, StrategyInput, StrategyModel, export_fill_model, export_model, export_strategy,
};

/// Loses `params[0]` per unit, one more for every call; fails where told to.
#[derive(Clone)]
struct Growing {
    step: f64,
    calls: f64,
}

impl Model for Growing {
    type Context = SlippageContext;
    type Output = SlippageOutput;
    const KIND: Kind = Kind::SLIPPAGE;
    const NAME: &'static CStr = c"Growing";
    const FLAGS: u32 = Flag::NEEDS_BAR.0;

    fn new(params: &[f64]) -> Result<Self, String> {
        match params {
            [step] if *step >= 0.0 => Ok(Self { step: *step, calls: 0.0 }),
            [step] => {
                assert!(!step.is_nan(), "no number");
                Err(format!("expected a step of 0 or more, found {step}"))
            }
            _ => Err(format!("expected one step, found {params:?}")),
        }
    }

    fn evaluate(&mut self, context: &SlippageContext, output: &mut SlippageOutput) -> Answer {
        assert!(context.price > 0.0, "price {} in the model", context.price);
        if context.volume.is_nan() {
            return Err("volume is missing".into());
        }
        output.adjustment = self.step + self.calls;
        output.spread = 0.0;
        output.quantity_cap = f64::INFINITY;
        self.calls += 1.0;
        Ok(Status::OK)
    }

    fn reset(&mut self, _seed: u64) {
        self.calls = 0.0;
    }

    const SAVES: bool = true;

    fn save(&self) -> Vec<u8> {
        self.calls.to_le_bytes().to_vec()
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes = bytes.try_into().map_err(|_| format!("expected 8 bytes, found {}", bytes.len()))?;
        self.calls = f64::from_le_bytes(bytes);
        Ok(())
    }
}

export_model!(growing: Growing);
export_model!(shrinking: Growing);

/// Half at the price, half one tick worse.
#[derive(Clone)]
struct Halves;

impl FillModel for Halves {
    const NAME: &'static CStr = c"Halves";

    fn new(_params: &[f64]) -> Result<Self, String> {
        Ok(Self)
    }

    fn evaluate(&mut self, context: &FillContext, _levels: &[Level], fills: &mut Slices<'_>) -> Answer {
        let half = context.leaves_quantity / 2.0;
        fills.push(context.price, half, Liquidity::TAKER)?;
        fills.push(context.price + context.tick_size, half, Liquidity::TAKER)?;
        Ok(Status::OK)
    }
}

export_fill_model!(halves: Halves);

/// Buys one of everything that changed.
#[derive(Clone)]
struct Buyer;

impl StrategyModel for Buyer {
    const NAME: &'static CStr = c"Buyer";
    const COLUMNS: &'static CStr = c"close,volume";

    fn new(_params: &[f64]) -> Result<Self, String> {
        Ok(Self)
    }

    fn evaluate(&mut self, input: &StrategyInput<'_>, orders: &mut Orders<'_>) -> Answer {
        for &asset in input.changed {
            orders.push(OrderRecord {
                action: Action::NEW,
                asset,
                order_type: OrderType::MARKET,
                life: Life::DAY,
                quantity: input.column(1)[asset as usize],
                ..OrderRecord::UNSET
            })?;
        }
        Ok(Status::OK)
    }
}

export_strategy!(buyer: Buyer);

type Constructor = unsafe extern "C" fn(*const f64, usize, *mut u8, usize) -> *mut ModelTable;

fn made(symbol: Constructor, params: &[f64]) -> Result<*mut ModelTable, String> {
    let mut error = [0_u8; 200];
    // SAFETY: both buffers are as long as is said.
    let table = unsafe { symbol(params.as_ptr(), params.len(), error.as_mut_ptr(), error.len()) };
    if table.is_null() {
        Err(CStr::from_bytes_until_nul(&error).expect("a final zero").to_string_lossy().into_owned())
    } else {
        Ok(table)
    }
}

/// A clone of the state of a table, freed with it.
struct Running {
    table: *mut ModelTable,
    state: *mut c_void,
}

impl Running {
    fn of(table: *mut ModelTable) -> Self {
        // SAFETY: the table is alive, and its `proto` its own.
        let state = unsafe { (*table).clone.expect("clones")((*table).proto) };
        Self { table, state }
    }

    fn eval<F>(&self) -> F {
        // SAFETY: every caller asks for the signature of the kind; both are function pointers.
        unsafe { core::mem::transmute_copy(&(*self.table).eval.expect("answers")) }
    }

    fn error(&self) -> String {
        let mut text = [0_u8; 600];
        // SAFETY: as long as is said.
        let n = unsafe { (*self.table).last_error.expect("tells")(self.state, text.as_mut_ptr(), text.len()) };
        String::from_utf8_lossy(&text[..n]).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: each is freed once.
        unsafe {
            (*self.table).drop.expect("drops")(self.state);
            (*self.table).release.expect("releases")(self.table);
        }
    }
}

/// A state on its way to another thread.
struct Sent(Running);

// SAFETY: the tables say `SEND`.
unsafe impl Send for Sent {}

fn slip(running: &Running, price: f64, volume: f64) -> (Status, f64) {
    let context =
        SlippageContext { header: Header::of::<SlippageContext>(1, 0, 0), price, volume, ..SlippageContext::UNSET };
    let mut output = SlippageOutput::UNSET;
    let eval: Eval<SlippageContext, SlippageOutput> = running.eval();
    // SAFETY: state, context and output are of this table.
    let status = unsafe { eval(running.state, &raw const context, &raw mut output) };
    (status, output.adjustment)
}

#[test]
fn the_table_says_what_the_model_is() {
    let running = Running::of(made(growing::growing, &[1.0]).expect("made"));
    // SAFETY: alive.
    let table = unsafe { &*running.table };
    assert_eq!((table.magic, table.abi_major, table.kind), (ml4t_abi::MAGIC, 1, Kind::SLIPPAGE));
    assert_eq!(table.flags, Flag::NEEDS_BAR.0 | Flag::SEND.0);
    assert_eq!(table.struct_size as usize, size_of::<ModelTable>());
    assert_eq!(table.context_size as usize, size_of::<SlippageContext>());
}

#[test]
fn clones_have_states_of_their_own_and_reset_begins_anew() {
    let table = made(growing::growing, &[0.5]).expect("made");
    let first = Running::of(table);
    // SAFETY: alive.
    let second = unsafe { (*table).clone.expect("clones")(first.state) };
    assert_eq!(slip(&first, 10.0, 1.0), (Status::OK, 0.5));
    assert_eq!(slip(&first, 10.0, 1.0), (Status::OK, 1.5));
    let other = Running { table, state: second };
    assert_eq!(slip(&other, 10.0, 1.0), (Status::OK, 0.5));
    // SAFETY: alive.
    unsafe { (*table).reset.expect("resets")(first.state, 7) };
    assert_eq!(slip(&first, 10.0, 1.0), (Status::OK, 0.5));
    // SAFETY: freed once: `first` frees its state and the table.
    unsafe { (*table).drop.expect("drops")(other.state) };
    core::mem::forget(other);
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let running = Running::of(made(growing::growing, &[0.5]).expect("made"));
    slip(&running, 10.0, 1.0);
    // SAFETY: alive.
    let (save, load) = unsafe { ((*running.table).save.expect("saves"), (*running.table).load.expect("loads")) };
    let mut bytes = [0_u8; 8];
    // SAFETY: as long as is said.
    unsafe {
        assert_eq!(save(running.state, bytes.as_mut_ptr(), 7), 8, "no room: nothing but the size");
        assert_eq!(bytes, [0; 8]);
        assert_eq!(save(running.state, bytes.as_mut_ptr(), 8), 8);
    }
    let other = Running::of(made(growing::growing, &[0.5]).expect("made"));
    // SAFETY: as above.
    unsafe {
        assert_eq!(load(other.state, bytes.as_ptr(), 8), Status::OK);
        assert_eq!(slip(&other, 10.0, 1.0), slip(&running, 10.0, 1.0));
        assert_eq!(load(other.state, bytes.as_ptr(), 3), Status::ERROR);
    }
    assert_eq!(other.error(), "expected 8 bytes, found 3");
    let buyer = Running::of(made(buyer::buyer, &[]).expect("made"));
    // SAFETY: alive.
    assert!(unsafe { (*buyer.table).save.is_none() && (*buyer.table).load.is_none() }, "kept by who says so");
}

#[test]
fn an_error_has_its_text_and_a_panic_its_place() {
    let running = Running::of(made(growing::growing, &[0.0]).expect("made"));
    assert_eq!(slip(&running, 10.0, f64::NAN).0, Status::ERROR);
    assert_eq!(running.error(), "volume is missing");
    assert_eq!(slip(&running, -1.0, 5.0).0, Status(-1));
    assert!(running.error().contains("price -1 in the model"), "{}", running.error());
    assert!(running.error().contains("export.rs"), "{}", running.error());
    assert_eq!(slip(&running, 10.0, 5.0).0, Status::OK, "it lives on");
}

/// What hooks before ours were told.
static TOLD: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

#[test]
fn a_panic_of_no_model_is_told_as_before_also_between_calls() {
    // Runs alone: the hook belongs to the process. The hooks of the models are set by their first constructor.
    let child = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "hooks_in_a_process_of_their_own", "--ignored", "--nocapture"])
        .output()
        .expect("runs");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
#[ignore = "run by the test above in a process of its own"]
fn hooks_in_a_process_of_their_own() {
    std::panic::set_hook(Box::new(|info| TOLD.lock().expect("whole").push(info.to_string())));
    let told = || core::mem::take(&mut *TOLD.lock().expect("whole"));
    let panics = || std::panic::catch_unwind(|| panic!("of no model")).expect_err("panics");
    // Two models with hooks of their own, both alive: each gets its own text.
    let first = Running::of(made(growing::growing, &[0.0]).expect("made"));
    let second = Running::of(made(shrinking::shrinking, &[0.0]).expect("made"));
    for (each, price) in [(&first, -1.0), (&second, -2.0), (&first, -3.0)] {
        assert_eq!(slip(each, price, 5.0).0, Status(-1));
        assert!(each.error().contains(&format!("price {price} in the model")), "{}", each.error());
    }
    assert!(told().is_empty());
    panics();
    assert_eq!(told().len(), 1, "between calls");
    std::thread::scope(|scope| scope.spawn(panics).join().map(drop).expect("caught"));
    assert_eq!(told().len(), 1, "on a thread that asks no model");
    // A state that goes to another thread is reset there, because a run begins.
    let first = Sent(first);
    let first = std::thread::scope(|scope| {
        let elsewhere = scope.spawn(move || {
            let whole = first;
            // SAFETY: nobody else asks the state.
            unsafe { (*whole.0.table).reset.expect("resets")(whole.0.state, 1) };
            assert_eq!(slip(&whole.0, -4.0, 5.0).0, Status(-1));
            assert!(whole.0.error().contains("price -4 in the model"), "{}", whole.0.error());
            whole
        });
        elsewhere.join().expect("no panic")
    });
    assert!(told().is_empty());
    drop((first, second));
    panics();
    assert_eq!(told().len(), 1, "after them");
}

#[test]
fn parameters_are_refused_with_a_sentence() {
    let refused = made(growing::growing, &[-1.0]).expect_err("refused");
    assert_eq!(refused, "expected a step of 0 or more, found -1");
    assert!(made(growing::growing, &[f64::NAN]).expect_err("panics").contains("no number"));
    assert!(made(growing::growing, &[]).is_err());
}

#[test]
fn a_fill_model_writes_slices_and_overflow_is_an_error() {
    let running = Running::of(made(halves::halves, &[]).expect("made"));
    let eval: EvalFill = running.eval();
    let context = FillContext { price: 10.0, tick_size: 0.01, leaves_quantity: 8.0, ..FillContext::UNSET };
    let mut fills = [FillSlice::UNSET; 2];
    let call = |fills: &mut [FillSlice]| {
        let mut output = FillOutput::UNSET;
        let capacity = u32::try_from(fills.len()).expect("few");
        let none = core::ptr::null_mut();
        // SAFETY: the arrays are as long as is said.
        let status = unsafe {
            eval(running.state, &raw const context, none, none.cast(), 0, fills.as_mut_ptr(), capacity, &raw mut output)
        };
        (status, output.n_fills)
    };
    assert_eq!(call(&mut fills), (Status::OK, 2));
    assert_eq!((fills[0].price, fills[0].quantity, fills[1].price), (10.0, 4.0, 10.01));
    assert_eq!(call(&mut fills[..1]).0, Status::ERROR);
    assert_eq!(running.error(), "more than 1 slices have no room");
}

#[test]
fn a_strategy_reads_columns_and_writes_orders() {
    let running = Running::of(made(buyer::buyer, &[]).expect("made"));
    // SAFETY: alive.
    assert_eq!(unsafe { (*running.table).n_columns }, 2);
    let eval: EvalStrategy = running.eval();
    let context = StrategyContext { n_assets: 2, n_columns: 2, n_changed: 1, ..StrategyContext::UNSET };
    let (changed, columns, positions) = ([1_u32], [10.0, 20.0, 3.0, 4.0], [0.0, 0.0]);
    let mut orders = [OrderRecord::UNSET; 4];
    let mut n = 0;
    // SAFETY: the arrays are as long as the context says; empty ones dangle, aligned.
    let status = unsafe {
        eval(
            running.state,
            &raw const context,
            changed.as_ptr(),
            columns.as_ptr(),
            positions.as_ptr(),
            core::ptr::NonNull::dangling().as_ptr(),
            core::ptr::NonNull::dangling().as_ptr(),
            orders.as_mut_ptr(),
            4,
            &raw mut n,
        )
    };
    assert_eq!((status, n, orders[0].asset, orders[0].quantity), (Status::OK, 1, 1, 4.0));
}
