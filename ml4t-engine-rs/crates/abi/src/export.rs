//! Macros that make a C table of a model, with panics caught.
//!
//! They expand in the author's crate, which has `std`; this one has not.

/// Export a [`crate::Model`] as `extern "C" fn $symbol(params, n, error, capacity) -> *mut ModelTable`.
///
/// The function returns null when the parameters are refused, the sentence in `error`.
#[macro_export]
macro_rules! export_model {
    ($symbol:ident : $model:ty) => {
        #[doc(hidden)]
        mod $symbol {
            use super::*;

            $crate::__export!($symbol, $model, $crate::Model, <$model as $crate::Model>::KIND);

            type Context = <$model as $crate::Model>::Context;
            type Output = <$model as $crate::Model>::Output;

            unsafe extern "C" fn eval(
                state: *mut ::core::ffi::c_void,
                context: *const Context,
                output: *mut Output,
            ) -> $crate::Status {
                // SAFETY: the engine passes a context and an output of the sizes that the table names.
                let (context, output) = unsafe { (&*context, &mut *output) };
                guarded(state, |model| $crate::Model::evaluate(model, context, output))
            }

            unsafe extern "C" fn observe(
                state: *mut ::core::ffi::c_void,
                fill: *const $crate::FillEvent,
            ) -> $crate::Status {
                // SAFETY: the engine passes a fill.
                let fill = unsafe { &*fill };
                guarded(state, |model| {
                    $crate::Model::observe(model, fill);
                    Ok($crate::Status::OK)
                })
            }

            fn table(model: &$model) -> $crate::ModelTable {
                $crate::ModelTable {
                    context_size: size_of::<Context>() as u32,
                    output_size: size_of::<Output>() as u32,
                    // SAFETY: the engine casts it back by the kind of the table.
                    eval: Some(unsafe {
                        ::core::mem::transmute::<$crate::Eval<Context, Output>, unsafe extern "C" fn()>(eval)
                    }),
                    observe: Some(observe),
                    n_random: <$model as $crate::Model>::N_RANDOM,
                    average_days: $crate::Model::average_days(model),
                    flags: $crate::Model::flags(model) | $crate::Flag::SEND.0,
                    ..common()
                }
            }
        }
    };
}

/// Export a [`crate::FillModel`], as [`export_model`] does.
#[macro_export]
macro_rules! export_fill_model {
    ($symbol:ident : $model:ty) => {
        #[doc(hidden)]
        mod $symbol {
            use super::*;

            $crate::__export!($symbol, $model, $crate::FillModel, $crate::Kind::FILL);

            unsafe extern "C" fn eval(
                state: *mut ::core::ffi::c_void,
                context: *const $crate::FillContext,
                _order_state: *mut ::core::ffi::c_void,
                levels: *const $crate::Level,
                n_levels: u32,
                fills: *mut $crate::FillSlice,
                capacity: u32,
                output: *mut $crate::FillOutput,
            ) -> $crate::Status {
                // SAFETY: the engine passes arrays of the lengths that it names beside them.
                let (context, levels, mut slices) = unsafe {
                    (
                        &*context,
                        slice(levels, n_levels),
                        $crate::Slices::new(::core::slice::from_raw_parts_mut(fills, capacity as usize), &mut *output),
                    )
                };
                guarded(state, |model| $crate::FillModel::evaluate(model, context, levels, &mut slices))
            }

            /// # Safety
            /// `data` is null or has `n` elements.
            unsafe fn slice<'a, T>(data: *const T, n: u32) -> &'a [T] {
                // SAFETY: as promised.
                if data.is_null() { &[] } else { unsafe { ::core::slice::from_raw_parts(data, n as usize) } }
            }

            fn table(model: &$model) -> $crate::ModelTable {
                $crate::ModelTable {
                    context_size: size_of::<$crate::FillContext>() as u32,
                    output_size: size_of::<$crate::FillOutput>() as u32,
                    // SAFETY: the engine casts it back by the kind of the table.
                    eval: Some(unsafe { ::core::mem::transmute::<$crate::EvalFill, unsafe extern "C" fn()>(eval) }),
                    n_random: <$model as $crate::FillModel>::N_RANDOM,
                    average_days: $crate::FillModel::average_days(model),
                    flags: $crate::FillModel::flags(model) | $crate::Flag::SEND.0,
                    ..common()
                }
            }
        }
    };
}

/// Export a [`crate::PortfolioModel`], as [`export_model`] does.
#[macro_export]
macro_rules! export_portfolio_model {
    ($symbol:ident : $model:ty) => {
        #[doc(hidden)]
        mod $symbol {
            use super::*;

            $crate::__export!($symbol, $model, $crate::PortfolioModel, <$model as $crate::PortfolioModel>::KIND);

            type Context = <$model as $crate::PortfolioModel>::Context;
            type Output = <$model as $crate::PortfolioModel>::Output;
            type Call = unsafe extern "C" fn(
                *mut ::core::ffi::c_void,
                *const Context,
                *const $crate::Holding,
                u32,
                *mut f64,
                *mut Output,
            ) -> $crate::Status;

            unsafe extern "C" fn eval(
                state: *mut ::core::ffi::c_void,
                context: *const Context,
                holdings: *const $crate::Holding,
                n: u32,
                amounts: *mut f64,
                output: *mut Output,
            ) -> $crate::Status {
                // SAFETY: the engine passes arrays of that length, and never null ones.
                let (context, holdings, amounts, output) = unsafe {
                    (
                        &*context,
                        ::core::slice::from_raw_parts(holdings, n as usize),
                        ::core::slice::from_raw_parts_mut(amounts, n as usize),
                        &mut *output,
                    )
                };
                guarded(state, |model| $crate::PortfolioModel::evaluate(model, context, holdings, amounts, output))
            }

            fn table(_model: &$model) -> $crate::ModelTable {
                $crate::ModelTable {
                    context_size: size_of::<Context>() as u32,
                    output_size: size_of::<Output>() as u32,
                    // SAFETY: the engine casts it back by the kind of the table.
                    eval: Some(unsafe { ::core::mem::transmute::<Call, unsafe extern "C" fn()>(eval) }),
                    flags: $crate::Flag::SEND.0,
                    ..common()
                }
            }
        }
    };
}

/// Export a [`crate::StrategyModel`], as [`export_model`] does.
#[macro_export]
macro_rules! export_strategy {
    ($symbol:ident : $model:ty) => {
        #[doc(hidden)]
        mod $symbol {
            use super::*;

            $crate::__export!($symbol, $model, $crate::StrategyModel, $crate::Kind::STRATEGY);

            #[expect(clippy::too_many_arguments, reason = "the signature is the interface's")]
            unsafe extern "C" fn eval(
                state: *mut ::core::ffi::c_void,
                context: *const $crate::StrategyContext,
                changed: *const u32,
                columns: *const f64,
                positions: *const f64,
                open_orders: *const $crate::OpenOrder,
                fills: *const $crate::FillEvent,
                orders: *mut $crate::OrderRecord,
                capacity: u32,
                n_orders: *mut u32,
            ) -> $crate::Status {
                // SAFETY: the engine passes arrays of the lengths that the context names, and never null ones.
                let (input, mut orders) = unsafe {
                    let context = &*context;
                    let n = context.n_assets as usize;
                    let array = ::core::slice::from_raw_parts;
                    let input = $crate::StrategyInput {
                        context,
                        changed: array(changed, context.n_changed as usize),
                        columns: ::core::slice::from_raw_parts(columns, n * context.n_columns as usize),
                        positions: ::core::slice::from_raw_parts(positions, n),
                        open_orders: ::core::slice::from_raw_parts(open_orders, context.n_open_orders as usize),
                        fills: ::core::slice::from_raw_parts(fills, context.n_fills as usize),
                    };
                    let room = ::core::slice::from_raw_parts_mut(orders, capacity as usize);
                    (input, $crate::Orders::new(room, &mut *n_orders))
                };
                guarded(state, |model| $crate::StrategyModel::evaluate(model, &input, &mut orders))
            }

            fn table(_model: &$model) -> $crate::ModelTable {
                let columns = <$model as $crate::StrategyModel>::COLUMNS;
                let commas = columns.to_bytes().iter().filter(|&&byte| byte == b',').count();
                $crate::ModelTable {
                    context_size: size_of::<$crate::StrategyContext>() as u32,
                    // SAFETY: the engine casts it back by the kind of the table.
                    eval: Some(unsafe { ::core::mem::transmute::<$crate::EvalStrategy, unsafe extern "C" fn()>(eval) }),
                    flags: $crate::Flag::SEND.0,
                    n_columns: if columns.is_empty() { 0 } else { commas as u32 + 1 },
                    columns: columns.as_ptr(),
                    ..common()
                }
            }
        }
    };
}

/// Export a [`crate::ExecutorModel`], as [`export_model`] does.
#[macro_export]
macro_rules! export_executor {
    ($symbol:ident : $model:ty) => {
        #[doc(hidden)]
        mod $symbol {
            use super::*;

            $crate::__export!($symbol, $model, $crate::ExecutorModel, $crate::Kind::EXECUTOR);

            unsafe extern "C" fn eval(
                state: *mut ::core::ffi::c_void,
                context: *const $crate::ExecutorContext,
                open_orders: *const $crate::OpenOrder,
                orders: *mut $crate::OrderRecord,
                capacity: u32,
                n_orders: *mut u32,
            ) -> $crate::Status {
                // SAFETY: the engine passes arrays of the lengths that are said, and never null ones.
                let (context, open_orders, mut orders) = unsafe {
                    let context = &*context;
                    let open = ::core::slice::from_raw_parts(open_orders, context.n_open_orders as usize);
                    let room = ::core::slice::from_raw_parts_mut(orders, capacity as usize);
                    (context, open, $crate::Orders::new(room, &mut *n_orders))
                };
                guarded(state, |model| $crate::ExecutorModel::evaluate(model, context, open_orders, &mut orders))
            }

            fn table(model: &$model) -> $crate::ModelTable {
                $crate::ModelTable {
                    context_size: size_of::<$crate::ExecutorContext>() as u32,
                    // SAFETY: the engine casts it back by the kind of the table.
                    eval: Some(unsafe { ::core::mem::transmute::<$crate::EvalExecutor, unsafe extern "C" fn()>(eval) }),
                    n_random: <$model as $crate::ExecutorModel>::N_RANDOM,
                    average_days: $crate::ExecutorModel::average_days(model),
                    flags: $crate::Flag::SEND.0,
                    ..common()
                }
            }
        }
    };
}

/// What every table has: state with its error, clone, reset, drop, the text of the error, and the guard.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($symbol:ident, $model:ty, $trait:path, $kind:expr) => {
        /// A model, and the text of its last error.
        #[derive(Clone)]
        struct State {
            model: $model,
            error: ::std::string::String,
            asking: Asking,
        }

        ::std::thread_local! {
            /// Flags of the states that this thread asks: one that is up says that a panic is a model's.
            static ASKED_HERE: ::core::cell::RefCell<::std::vec::Vec<::std::sync::Weak<Up>>> =
                const { ::core::cell::RefCell::new(::std::vec::Vec::new()) };
            /// What the last panic of a model said.
            static PANIC: ::core::cell::RefCell<::std::string::String> =
                const { ::core::cell::RefCell::new(::std::string::String::new()) };
        }

        type Up = ::core::sync::atomic::AtomicBool;

        /// Whether a state is being asked. Its thread keeps a list of the flags, because a look at a variable of
        /// the thread at every call costs a third of the call; a flag beside the state costs nothing.
        struct Asking {
            up: ::std::sync::Arc<Up>,
            listed: bool,
        }

        impl Asking {
            fn new() -> Self {
                Self { up: ::std::sync::Arc::new(Up::new(false)), listed: false }
            }

            #[cold]
            fn list(&mut self) {
                self.listed = true;
                ASKED_HERE.with_borrow_mut(|flags| {
                    flags.retain(|flag| flag.strong_count() > 0);
                    flags.push(::std::sync::Arc::downgrade(&self.up));
                });
            }
        }

        impl Clone for Asking {
            fn clone(&self) -> Self {
                Self::new()
            }
        }

        /// Whether this thread is inside a call of this model.
        fn is_asked() -> bool {
            ASKED_HERE.with_borrow(|flags| {
                let up = |flag: &::std::sync::Weak<Up>| {
                    flag.upgrade().is_some_and(|flag| flag.load(::core::sync::atomic::Ordering::Relaxed))
                };
                flags.iter().any(up)
            })
        }

        /// Keep panics of models quiet: their text goes into the error. Others are told as before.
        fn hush() {
            static ONCE: ::std::sync::Once = ::std::sync::Once::new();
            ONCE.call_once(|| {
                let before = ::std::panic::take_hook();
                ::std::panic::set_hook(::std::boxed::Box::new(move |info| {
                    if is_asked() {
                        PANIC.set(::std::format!("{info}").replace('\n', " "));
                    } else {
                        before(info);
                    }
                }));
            });
        }

        /// Return what a panic said, without its place where the hook is not ours any more.
        #[cold]
        #[inline(never)]
        fn told(panic: ::std::boxed::Box<dyn ::core::any::Any + ::core::marker::Send>) -> ::std::string::String {
            let text = PANIC.take();
            if !text.is_empty() {
                return text;
            }
            let literal = panic.downcast_ref::<&str>().map(|text| ::std::string::String::from(*text));
            let text = literal.or_else(|| panic.downcast_ref::<::std::string::String>().cloned());
            text.unwrap_or_else(|| "a panic without a text".into())
        }

        /// Call into a model; a panic is its text.
        #[inline]
        fn caught<T>(
            asking: &mut Asking,
            call: impl FnOnce() -> T,
        ) -> ::core::result::Result<T, ::std::string::String> {
            if !asking.listed {
                asking.list();
            }
            asking.up.store(true, ::core::sync::atomic::Ordering::Relaxed);
            let answer = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(call));
            asking.up.store(false, ::core::sync::atomic::Ordering::Relaxed);
            answer.map_err(told)
        }

        #[cold]
        #[inline(never)]
        fn failed(
            error: &mut ::std::string::String,
            text: ::std::string::String,
            status: $crate::Status,
        ) -> $crate::Status {
            *error = text;
            status
        }

        fn guarded(
            state: *mut ::core::ffi::c_void,
            call: impl FnOnce(&mut $model) -> $crate::Answer,
        ) -> $crate::Status {
            // SAFETY: the engine passes what `clone` made, and asks one state once at a time.
            let state = unsafe { &mut *state.cast::<State>() };
            match caught(&mut state.asking, || call(&mut state.model)) {
                Ok(Ok(status)) => status,
                Ok(Err(text)) => failed(&mut state.error, text, $crate::Status::ERROR),
                Err(text) => failed(&mut state.error, text, $crate::Status(-1)),
            }
        }

        unsafe extern "C" fn clone(proto: *const ::core::ffi::c_void) -> *mut ::core::ffi::c_void {
            // SAFETY: `proto` is the state that the table was made with.
            let state = unsafe { &*proto.cast::<State>() };
            let copy = caught(&mut Asking::new(), || ::std::boxed::Box::new(state.clone()));
            copy.map_or(::core::ptr::null_mut(), |copy| ::std::boxed::Box::into_raw(copy).cast())
        }

        unsafe extern "C" fn reset(state: *mut ::core::ffi::c_void, seed: u64) -> $crate::Status {
            // SAFETY: as in `guarded`. A run may be on another thread than the one before.
            unsafe { (*state.cast::<State>()).asking.listed = false };
            guarded(state, |model| {
                <$model as $trait>::reset(model, seed);
                Ok($crate::Status::OK)
            })
        }

        unsafe extern "C" fn save(state: *const ::core::ffi::c_void, bytes: *mut u8, capacity: usize) -> usize {
            // SAFETY: the engine passes what `clone` made, and asks one state once at a time.
            let state = unsafe { &mut *state.cast_mut().cast::<State>() };
            let saved = match caught(&mut state.asking, || <$model as $trait>::save(&state.model)) {
                Ok(saved) => saved,
                Err(text) => {
                    state.error = text;
                    return usize::MAX;
                }
            };
            if saved.len() <= capacity {
                // SAFETY: both sides have that many bytes.
                unsafe { ::core::ptr::copy_nonoverlapping(saved.as_ptr(), bytes, saved.len()) };
            }
            saved.len()
        }

        unsafe extern "C" fn load(state: *mut ::core::ffi::c_void, bytes: *const u8, size: usize) -> $crate::Status {
            // SAFETY: the engine passes as many bytes as it says; an empty slice may come as null.
            let bytes = if size == 0 { &[] } else { unsafe { ::core::slice::from_raw_parts(bytes, size) } };
            guarded(state, |model| <$model as $trait>::load(model, bytes).map(|()| $crate::Status::OK))
        }

        unsafe extern "C" fn drop(state: *mut ::core::ffi::c_void) {
            if !state.is_null() {
                // SAFETY: made by `clone`, and dropped once.
                ::core::mem::drop(unsafe { ::std::boxed::Box::from_raw(state.cast::<State>()) });
            }
        }

        unsafe extern "C" fn last_error(state: *const ::core::ffi::c_void, text: *mut u8, capacity: usize) -> usize {
            // SAFETY: the engine passes a state, and room for `capacity` bytes.
            let state = unsafe { &*state.cast::<State>() };
            let bytes = state.error.as_str().as_bytes();
            let n = bytes.len().min(capacity);
            // SAFETY: both sides have `n` bytes.
            unsafe { ::core::ptr::copy_nonoverlapping(bytes.as_ptr(), text, n) };
            bytes.len()
        }

        unsafe extern "C" fn release(table: *mut $crate::ModelTable) {
            if !table.is_null() {
                // SAFETY: made by the exported function, and released once.
                unsafe {
                    let table = ::std::boxed::Box::from_raw(table);
                    drop(table.proto);
                }
            }
        }

        fn common() -> $crate::ModelTable {
            $crate::ModelTable {
                magic: $crate::MAGIC,
                struct_size: size_of::<$crate::ModelTable>() as u32,
                abi_major: $crate::ABI_MAJOR,
                abi_minor: $crate::ABI_MINOR,
                kind: $kind,
                flags: 0,
                context_size: 0,
                output_size: 0,
                n_random: 0,
                order_state_size: 0,
                name: <$model as $trait>::NAME.as_ptr(),
                model_version: <$model as $trait>::VERSION.as_ptr(),
                proto: ::core::ptr::null_mut(),
                clone: Some(clone),
                reset: Some(reset),
                drop: Some(drop),
                eval: None,
                observe: None,
                last_error: Some(last_error),
                save: if <$model as $trait>::SAVES { Some(save) } else { None },
                load: if <$model as $trait>::SAVES { Some(load) } else { None },
                release: Some(release),
                on_market: None,
                average_days: 0,
                n_columns: 0,
                columns: ::core::ptr::null(),
            }
        }

        /// Make the table of a model.
        ///
        /// # Safety
        /// `params` has `n` numbers, `error` room for `capacity` bytes.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol(
            params: *const f64,
            n: usize,
            error: *mut u8,
            capacity: usize,
        ) -> *mut $crate::ModelTable {
            hush();
            // SAFETY: as promised; an empty slice may come as null.
            let params = if n == 0 { &[] } else { unsafe { ::core::slice::from_raw_parts(params, n) } };
            let text = match caught(&mut Asking::new(), || <$model as $trait>::new(params)) {
                Ok(Ok(model)) => {
                    let mut table = table(&model);
                    let state = State { model, error: ::std::string::String::new(), asking: Asking::new() };
                    table.proto = ::std::boxed::Box::into_raw(::std::boxed::Box::new(state)).cast();
                    return ::std::boxed::Box::into_raw(::std::boxed::Box::new(table));
                }
                Ok(Err(text)) | Err(text) => text,
            };
            let bytes = text.as_str().as_bytes();
            if capacity > 0 {
                let n = bytes.len().min(capacity - 1);
                // SAFETY: both sides have that many bytes, and one is left for the zero.
                unsafe {
                    ::core::ptr::copy_nonoverlapping(bytes.as_ptr(), error, n);
                    *error.add(n) = 0;
                }
            }
            ::core::ptr::null_mut()
        }
    };
}
