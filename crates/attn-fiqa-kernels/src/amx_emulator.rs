//! AMX in software, for tests on machines without it: those of the kernels and, with
//! `--cfg emulated_amx`, every program.
//!
//! On such machines, every AMX instruction raises SIGILL. The handler decodes it, executes it on
//! registers in memory and continues after it, so the tests run the same machine code as an AMX
//! machine. The semantics are those of Intel's *Software Developer's Manual*, volume 2; what it
//! calls invalid is not executed, and ends the process.

mod decode;
mod registers;

use std::cell::UnsafeCell;

use decode::{Instruction, Operation};
use registers::Registers;

thread_local! {
    /// Has no destructor and a constant initial value, so that a signal handler may use it.
    static REGISTERS: UnsafeCell<Registers> = const { UnsafeCell::new(Registers::RELEASED) };
}

/// Emulates AMX from here on. Returns whether that is possible.
pub(crate) fn install() -> bool {
    if cfg!(miri) {
        return false;
    }
    // SAFETY: an all-zero `sigaction` is a valid one, `handle` has the signature that SA_SIGINFO
    // requires, and it calls nothing that a signal handler may not.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut()) == 0
    }
}

extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes the context of the instruction, which the handler owns. The bytes
    // that belong to the instruction are readable, because it was fetched from there.
    let carried_out = unsafe {
        let machine = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let code = machine[libc::REG_RIP as usize] as *const u8;
        let instruction = Instruction::decode(code, |register| general(machine, register));
        REGISTERS.with(|registers| {
            let found = instruction.filter(|found| execute(&mut *registers.get(), found));
            found.inspect(|found| machine[libc::REG_RIP as usize] += found.length as i64).is_some()
        })
    };
    if !carried_out {
        // The instruction raises the signal again, which now ends the process.
        // SAFETY: the default action may be set at any time.
        unsafe { libc::signal(libc::SIGILL, libc::SIG_DFL) };
    }
}

/// The general-purpose register with this number in an instruction.
fn general(machine: &[libc::greg_t; 23], register: u8) -> u64 {
    use libc::{
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
        REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RSI, REG_RSP,
    };
    const BY_NUMBER: [libc::c_int; 16] = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    machine[BY_NUMBER[usize::from(register)] as usize] as u64
}

/// Executes an instruction and returns whether it was valid.
///
/// # Safety
///
/// The memory that the instruction names must be readable or writable, as the instruction requires.
unsafe fn execute(registers: &mut Registers, instruction: &Instruction) -> bool {
    let Instruction { tile, first, second, address, stride, .. } = *instruction;
    // SAFETY: by the contract.
    unsafe {
        match instruction.operation {
            Operation::Configure => registers.configure(&*(address as *const [u8; 64])),
            Operation::Release => {
                *registers = Registers::RELEASED;
                true
            }
            Operation::Zero => registers.zero(tile),
            Operation::Load => registers.load(tile, address as *const u8, stride),
            Operation::Store => registers.store(tile, address as *mut u8, stride),
            Operation::DotOfBf16 => registers.dot_of_bf16(tile, first, second),
            Operation::DotOfBytes => registers.dot_of_bytes(tile, first, second),
        }
    }
}
