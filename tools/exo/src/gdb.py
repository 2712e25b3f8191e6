"""What gdb cannot find in the files; `cargo exo gdb` has it read this."""

import re

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder


class Taken(Unwinder):
    """From the first instructions of an exception to the program: where it goes on is in EPC, which is a register of
    the model's and which QEMU tells; all else but $k0 and $k1 is still the program's."""

    # In Cause: which exception, and that of a system call.
    CODE, SYSTEM_CALL = 0x7C, 0x20
    # These know more: it is in $k0, or in the kernel's frame.
    GATES = ["gates", "no_such_call", "primitive_ends"]

    def __init__(self):
        super().__init__("aegis-exception")

    def __call__(self, frame):
        cause, pc, sp = (word(frame, name) for name in ("cause", "pc", "sp"))
        is_on_kernel_stack = sp >= 0x80000000
        if frame.level() > 0 or not is_taken(frame) or is_on_kernel_stack or symbol(pc) in self.GATES:
            return None
        resume = epc(frame) + (4 if cause & self.CODE == self.SYSTEM_CALL else 0)
        info = frame.create_unwind_info(FrameId(sp, pc))
        for register in frame.architecture().registers("general"):
            value = frame.read_register(register)
            info.add_saved_register(register, gdb.Value(resume).cast(value.type) if register.name == "pc" else value)
        return info


def word(frame, name):
    """A register's 32 bits."""
    return int(frame.read_register(name)) & 0xFFFFFFFF


def is_r3000(frame):
    """Whether it is the model's processor, and not malta's, whose EPC is no register."""
    return any(register.name == "epc" for register in frame.architecture().registers())


def is_taken(frame):
    """Whether an exception is being taken: the mode is the kernel's and was a program's before; in MIPS32, EXL."""
    status = word(frame, "sr")
    return status & 0x0A == 0x08 if is_r3000(frame) else status & 0x02


def epc(frame):
    """The address of the instruction that was interrupted."""
    if is_r3000(frame):
        return word(frame, "epc")
    return int(re.search(r"EPC\s+0x([0-9a-f]+)", gdb.execute("monitor info registers", to_string=True))[1], 16)


class FrameId:
    """What tells frames apart."""

    def __init__(self, sp, pc):
        self.sp, self.pc = gdb.Value(sp), gdb.Value(pc)


class Routine(FrameDecorator):
    """A gate or a trap by name and line, where gdb says `<signal handler called>`."""

    def function(self):
        return self.inferior_frame().name() if self.is_special() else super().function()

    def line(self):
        return self.inferior_frame().find_sal().line if self.is_special() else super().line()

    def is_special(self):
        return self.inferior_frame().type() == gdb.SIGTRAMP_FRAME


class Routines:
    """Has gates and traps shown so."""

    def __init__(self):
        self.name, self.priority, self.enabled = "aegis-routines", 100, True
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        return map(Routine, frames)


def symbol(address):
    """The name of the routine at an address. gdb has the kernel's sign-extended, as the processor has."""
    address |= 0xFFFFFFFF00000000 if address & 0x80000000 else 0
    return gdb.execute(f"info symbol {address:#x}", to_string=True).split()[0]


gdb.unwinder.register_unwinder(None, Taken(), True)
Routines()
