//! For each hazard a minimal program that is rejected, and a near miss that is accepted.
//!
//! The programs start at [`BASE`]. The last operand of a branch counts instructions from its delay slot: 0 is the delay
//! slot, 1 the instruction behind it, -1 the branch itself.

use std::collections::BTreeSet;

use hazard::{Finding, Options, Rule, check_code};
use mips1::encode::*;
use mips1::{Cp0, Register as R};

const BASE: u32 = 0x8000_1000;

struct Case {
    rule: Rule,
    what: &'static str,
    rejected: &'static [u32],
    accepted: &'static [u32],
}

/// Words that have no encoder, as no program of this system should contain them.
mod word {
    pub const MFC1_T0_F4: u32 = 0x4408_2000;
    pub const BC3F_NEXT: u32 = 0x4d00_0001;
    pub const LL_T0: u32 = 0xc128_0000;
    pub const SYNC: u32 = 0x0000_000f;
    pub const TEQ: u32 = 0x0085_0034;
    pub const BEQL: u32 = 0x5085_0001;
    pub const MOVZ: u32 = 0x0085_100a;
    pub const DADDU: u32 = 0x0085_102d;
    pub const ERET: u32 = 0x4200_0018;
    pub const MFC0_COUNT: u32 = 0x401a_4800;
}

const RETURN: u32 = jr(R::RA);
const CALL_T9: u32 = jalr(R::RA, R::T9);

const CASES: &[Case] = &[
    // ---- load-delay ----
    Case {
        rule: Rule::LoadDelay,
        what: "the next instruction reads the loaded register",
        rejected: &[lw(R::T0, 0, R::A0), addu(R::V0, R::T0, R::A1), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A0), nop(), addu(R::V0, R::T0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "a byte is as late as a word; another register is no hazard",
        rejected: &[lbu(R::T0, 0, R::A0), sw(R::T0, 0, R::A1), RETURN, nop()],
        accepted: &[lbu(R::T0, 0, R::A0), sw(R::T1, 0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "the loaded register is the address of the next access",
        rejected: &[lw(R::T0, 0, R::A0), lw(R::V0, 0, R::T0), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A0), lw(R::V0, 0, R::T1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "overwriting the register at once is fine: the later write stays",
        rejected: &[lw(R::T0, 0, R::A0), addiu(R::T0, R::T0, 1), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A0), addiu(R::T0, R::A1, 1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "two loads of one register are fine if the second does not use it as its address",
        rejected: &[lw(R::T0, 0, R::A0), lw(R::T0, 4, R::T0), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A0), lw(R::T0, 4, R::A0), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "lwl and lwr merge without a wait, but the merged word is late as any",
        rejected: &[lwl(R::T0, 3, R::A0), lwr(R::T0, 0, R::A0), sw(R::T0, 0, R::A1), RETURN, nop()],
        accepted: &[lwl(R::T0, 3, R::A0), lwr(R::T0, 0, R::A0), nop(), sw(R::T0, 0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "lwr must not take its address from the lwl before it",
        rejected: &[lwl(R::T0, 3, R::A0), lwr(R::T0, 0, R::T0), RETURN, nop()],
        accepted: &[lwl(R::T0, 3, R::A0), lwr(R::T0, 0, R::A0), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "mfc0 is as late as a load",
        rejected: &[mfc0(R::T0, Cp0::CAUSE), andi(R::T0, R::T0, 0x7c), RETURN, nop()],
        accepted: &[mfc0(R::T0, Cp0::CAUSE), nop(), andi(R::T0, R::T0, 0x7c), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "the merge of lwl is forwarded from memory only, not from mfc0",
        rejected: &[mfc0(R::T0, Cp0::CAUSE), lwl(R::T0, 3, R::A0), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A1), lwl(R::T0, 3, R::A0), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "a branch reads its operands as early as any other instruction",
        rejected: &[lw(R::T0, 0, R::A0), bne(R::T0, R::ZERO, 1), nop(), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A0), nop(), bne(R::T0, R::ZERO, 1), nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "a return address loaded just before the return",
        rejected: &[lw(R::RA, 28, R::SP), RETURN, addiu(R::SP, R::SP, 32)],
        accepted: &[lw(R::RA, 28, R::SP), addiu(R::SP, R::SP, 32), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load before a branch, use in the delay slot: the branch stands between",
        rejected: &[beq(R::A0, R::A1, 2), lw(R::T0, 0, R::A0), addiu(R::T0, R::T0, 1), RETURN, nop()],
        accepted: &[lw(R::T0, 0, R::A0), beq(R::A0, R::A1, 1), addiu(R::T0, R::T0, 1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load in a delay slot, use at the branch's target",
        rejected: &[
            beq(R::A0, R::A1, 3), // to the use
            lw(R::T0, 0, R::A0),
            RETURN,
            nop(),
            addu(R::V0, R::T0, R::A1),
            RETURN,
            nop(),
        ],
        accepted: &[
            beq(R::A0, R::A1, 3), // to the nop before the use
            lw(R::T0, 0, R::A0),
            RETURN,
            nop(),
            nop(),
            addu(R::V0, R::T0, R::A1),
            RETURN,
            nop(),
        ],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load in a delay slot, use behind it: no hazard if the branch is always taken",
        rejected: &[bne(R::A0, R::A1, 2), lw(R::T0, 0, R::A0), addu(R::V0, R::T0, R::A1), RETURN, nop()],
        accepted: &[b(2), lw(R::T0, 0, R::A0), addu(R::V0, R::T0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load in the delay slot of a loop's branch, use at the loop's head",
        rejected: &[addu(R::V0, R::V0, R::T0), bne(R::A0, R::A1, -2), lw(R::T0, 0, R::A0), RETURN, nop()],
        accepted: &[addu(R::V0, R::V0, R::T1), bne(R::A0, R::A1, -2), lw(R::T0, 0, R::A0), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load in the delay slot of a jump, use at its target",
        rejected: &[j(BASE + 8), lw(R::T0, 0, R::A0), addu(R::V0, R::T0, R::A1), RETURN, nop()],
        accepted: &[j(BASE + 8), lw(R::T0, 0, R::A0), addu(R::V0, R::A0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "argument loaded in the delay slot of a call, used by the first instruction of the callee",
        rejected: &[jal(BASE + 16), lw(R::A0, 0, R::SP), RETURN, nop(), addiu(R::V0, R::A0, 1), RETURN, nop()],
        accepted: &[jal(BASE + 16), lw(R::A0, 0, R::SP), RETURN, nop(), addiu(R::V0, R::A1, 1), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "what stands behind a call's delay slot is executed after the callee, not after the slot",
        rejected: &[bne(R::A0, R::A1, 2), lw(R::T0, 0, R::SP), move_(R::V0, R::T0), RETURN, nop()],
        accepted: &[jal(BASE + 12), lw(R::T0, 0, R::SP), move_(R::V0, R::T0), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load in the delay slot of a return: what follows is unknown",
        rejected: &[RETURN, lw(R::V0, 0, R::A0)],
        accepted: &[lw(R::V0, 0, R::A0), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load in the delay slot of an indirect call: what follows is unknown",
        rejected: &[CALL_T9, lw(R::A0, 0, R::SP), RETURN, nop()],
        accepted: &[lw(R::A0, 0, R::SP), CALL_T9, nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "load at the end of the code; into $zero nothing is loaded",
        rejected: &[lw(R::T0, 0, R::A0)],
        accepted: &[lw(R::ZERO, 0, R::A0)],
    },
    Case {
        rule: Rule::LoadDelay,
        what: "a delay slot that is also a branch's target is executed with two different successors",
        rejected: &[
            bne(R::A0, R::A1, 2), // into the next jump's delay slot, and on to the use behind it
            nop(),
            j(BASE + 20),
            lw(R::T0, 0, R::A0),
            addu(R::V0, R::T0, R::A1),
            RETURN,
            nop(),
        ],
        accepted: &[
            bne(R::A0, R::A1, 2),
            nop(),
            j(BASE + 20),
            lw(R::T0, 0, R::A0),
            addu(R::V0, R::A0, R::A1),
            RETURN,
            nop(),
        ],
    },
    // ---- hi-lo ----
    Case {
        rule: Rule::HiLo,
        what: "a multiplication one instruction after mflo",
        rejected: &[mflo(R::V0), nop(), mult(R::A0, R::A1), RETURN, nop()],
        accepted: &[mflo(R::V0), nop(), nop(), mult(R::A0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::HiLo,
        what: "a division right after mfhi",
        rejected: &[mfhi(R::V0), divu(R::A0, R::A1), RETURN, nop()],
        accepted: &[divu(R::A0, R::A1), mfhi(R::V0), RETURN, nop()],
    },
    Case {
        rule: Rule::HiLo,
        what: "mthi and mtlo destroy HI and LO like a multiplication; another read does not",
        rejected: &[mfhi(R::V0), nop(), mtlo(R::A0), RETURN, nop()],
        accepted: &[mfhi(R::V0), nop(), mflo(R::A0), RETURN, nop()],
    },
    Case {
        rule: Rule::HiLo,
        what: "mflo in a delay slot, a multiplication second at the target",
        rejected: &[b(1), mflo(R::V0), nop(), mult(R::A0, R::A1), RETURN, nop()],
        accepted: &[b(1), mflo(R::V0), nop(), nop(), mult(R::A0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::HiLo,
        what: "mflo before a branch, a multiplication in its delay slot",
        rejected: &[mflo(R::V0), beq(R::A0, R::A1, 1), mult(R::A0, R::A1), RETURN, nop()],
        accepted: &[mflo(R::V0), nop(), beq(R::A0, R::A1, 1), mult(R::A0, R::A1), RETURN, nop()],
    },
    Case {
        rule: Rule::HiLo,
        what: "mflo in the delay slot of a return: what follows is unknown",
        rejected: &[RETURN, mflo(R::V0)],
        accepted: &[mflo(R::V0), RETURN, nop()],
    },
    // ---- tlb-setup ----
    Case {
        rule: Rule::TlbSetup,
        what: "EntryLo written right before tlbwr",
        rejected: &[mtc0(R::K0, Cp0::ENTRY_LO), tlbwr(), RETURN, nop()],
        accepted: &[mtc0(R::K0, Cp0::ENTRY_LO), nop(), tlbwr(), RETURN, nop()],
    },
    Case {
        rule: Rule::TlbSetup,
        what: "EntryHi written right before tlbp",
        rejected: &[mtc0(R::K0, Cp0::ENTRY_HI), tlbp(), RETURN, nop()],
        accepted: &[mtc0(R::K0, Cp0::ENTRY_HI), nop(), tlbp(), RETURN, nop()],
    },
    Case {
        rule: Rule::TlbSetup,
        what: "Index written right before tlbr; what tlbr delivers can be read at once",
        rejected: &[mtc0(R::A0, Cp0::INDEX), tlbr(), mfc0(R::V0, Cp0::ENTRY_HI), RETURN, nop()],
        accepted: &[mtc0(R::A0, Cp0::INDEX), nop(), tlbr(), mfc0(R::V0, Cp0::ENTRY_HI), RETURN, nop()],
    },
    Case {
        rule: Rule::TlbSetup,
        what: "Index written right before tlbwi; other registers do not matter to the TLB",
        rejected: &[mtc0(R::A0, Cp0::INDEX), tlbwi(), RETURN, nop()],
        accepted: &[mtc0(R::A0, Cp0::CONTEXT), tlbwi(), RETURN, nop()],
    },
    Case {
        rule: Rule::TlbSetup,
        what: "EntryLo written in a delay slot, tlbwi at the target",
        rejected: &[b(1), mtc0(R::A0, Cp0::ENTRY_LO), tlbwi(), RETURN, nop()],
        accepted: &[b(1), mtc0(R::A0, Cp0::ENTRY_LO), nop(), tlbwi(), RETURN, nop()],
    },
    Case {
        rule: Rule::TlbSetup,
        what: "EntryLo written in the delay slot of a return",
        rejected: &[RETURN, mtc0(R::A0, Cp0::ENTRY_LO)],
        accepted: &[mtc0(R::A0, Cp0::ENTRY_LO), RETURN, nop()],
    },
    // ---- mapping-change ----
    Case {
        rule: Rule::MappingChange,
        what: "the address-space identifier changes, then an access to the first page",
        rejected: &[mtc0(R::A0, Cp0::ENTRY_HI), nop(), lw(R::V0, 0x1000, R::ZERO), RETURN, nop()],
        accepted: &[mtc0(R::A0, Cp0::ENTRY_HI), nop(), nop(), lw(R::V0, 0x1000, R::ZERO), RETURN, nop()],
    },
    Case {
        rule: Rule::MappingChange,
        what: "a TLB entry changes, then a store to the first page; of other base registers nothing is known",
        rejected: &[tlbwi(), sw(R::V0, 0x1000, R::ZERO), RETURN, nop()],
        accepted: &[tlbwi(), sw(R::V0, 0, R::A0), RETURN, nop()],
    },
    // ---- status-change ----
    Case {
        rule: Rule::StatusChange,
        what: "rfe with only its jr after a write to Status",
        rejected: &[mtc0(R::K1, Cp0::STATUS), jr(R::K0), rfe()],
        accepted: &[mtc0(R::K1, Cp0::STATUS), nop(), jr(R::K0), rfe()],
    },
    Case {
        rule: Rule::StatusChange,
        what: "the write buffer is tested too soon after coprocessors were made usable",
        rejected: &[mtc0(R::T0, Cp0::STATUS), nop(), bc0f(-1), nop(), RETURN, nop()],
        accepted: &[mtc0(R::T0, Cp0::STATUS), nop(), nop(), bc0f(-1), nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::StatusChange,
        what: "the same for another coprocessor; other registers of coprocessor 0 change nothing",
        rejected: &[mtc0(R::T0, Cp0::STATUS), word::BC3F_NEXT, nop(), RETURN, nop()],
        accepted: &[mtc0(R::T0, Cp0::CAUSE), word::BC3F_NEXT, nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::StatusChange,
        what: "Status written in the delay slot of a return: what follows is unknown",
        rejected: &[RETURN, mtc0(R::T0, Cp0::STATUS)],
        accepted: &[mtc0(R::T0, Cp0::STATUS), RETURN, nop()],
    },
    // ---- rfe ----
    Case {
        rule: Rule::Rfe,
        what: "rfe before the jump",
        rejected: &[rfe(), jr(R::K0), nop()],
        accepted: &[jr(R::K0), rfe()],
    },
    Case {
        rule: Rule::Rfe,
        what: "rfe in the delay slot of a jump that is no jr",
        rejected: &[b(1), rfe(), nop()],
        accepted: &[b(1), nop(), jr(R::K0), rfe()],
    },
    Case {
        rule: Rule::Rfe,
        what: "a branch straight to rfe",
        rejected: &[beq(R::A0, R::A1, 2), nop(), jr(R::K0), rfe(), nop()],
        accepted: &[beq(R::A0, R::A1, 1), nop(), jr(R::K0), rfe(), nop()],
    },
    // ---- jump-in-slot ----
    Case {
        rule: Rule::JumpInSlot,
        what: "a return in the delay slot of a branch",
        rejected: &[beq(R::A0, R::A1, 1), RETURN, nop()],
        accepted: &[beq(R::A0, R::A1, 1), nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::JumpInSlot,
        what: "a trap is no jump",
        rejected: &[RETURN, b(-2), nop()],
        accepted: &[RETURN, break_(7)],
    },
    // ---- slot-missing ----
    Case {
        rule: Rule::SlotMissing,
        what: "the code ends with a jump",
        rejected: &[nop(), RETURN],
        accepted: &[nop(), RETURN, nop()],
    },
    // ---- target ----
    Case {
        rule: Rule::Target,
        what: "a branch behind the end",
        rejected: &[beq(R::A0, R::A1, 3), nop(), RETURN, nop()],
        accepted: &[beq(R::A0, R::A1, 2), nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::Target,
        what: "a branch before the beginning",
        rejected: &[b(-2), nop()],
        accepted: &[b(-1), nop()],
    },
    Case {
        rule: Rule::Target,
        what: "a call that leaves the code",
        rejected: &[jal(BASE + 0x1000), nop(), RETURN, nop()],
        accepted: &[jal(BASE), nop(), RETURN, nop()],
    },
    // ---- not-mips1 ----
    Case { rule: Rule::NotMips1, what: "ll", rejected: &[word::LL_T0], accepted: &[lw(R::T0, 0, R::A0), nop()] },
    Case { rule: Rule::NotMips1, what: "sync", rejected: &[word::SYNC], accepted: &[nop()] },
    Case { rule: Rule::NotMips1, what: "teq", rejected: &[word::TEQ], accepted: &[break_(7)] },
    Case {
        rule: Rule::NotMips1,
        what: "beql",
        rejected: &[word::BEQL, nop(), nop()],
        accepted: &[beq(R::A0, R::A1, 1), nop(), nop()],
    },
    Case { rule: Rule::NotMips1, what: "movz", rejected: &[word::MOVZ], accepted: &[or(R::V0, R::A0, R::A1)] },
    Case { rule: Rule::NotMips1, what: "daddu", rejected: &[word::DADDU], accepted: &[addu(R::V0, R::A0, R::A1)] },
    Case { rule: Rule::NotMips1, what: "eret", rejected: &[word::ERET], accepted: &[jr(R::K0), rfe()] },
    Case {
        rule: Rule::NotMips1,
        what: "Count, a register that the R3000 lacks",
        rejected: &[word::MFC0_COUNT, nop()],
        accepted: &[mfc0(R::K0, Cp0::RANDOM), nop()],
    },
    // ---- fpu ----
    Case {
        rule: Rule::Fpu,
        what: "a move from the floating-point unit",
        rejected: &[word::MFC1_T0_F4, nop()],
        accepted: &[mfc0(R::T0, Cp0::PRID), nop()],
    },
];

/// The same for programs that run in user mode.
const USER_CASES: &[Case] = &[
    Case {
        rule: Rule::Privileged,
        what: "coprocessor 0",
        rejected: &[mfc0(R::V0, Cp0::STATUS), nop(), RETURN, nop()],
        accepted: &[li(R::V0, 0), syscall(), RETURN, nop()],
    },
    Case {
        rule: Rule::Privileged,
        what: "the TLB",
        rejected: &[tlbwr(), RETURN, nop()],
        accepted: &[nop(), RETURN, nop()],
    },
    Case {
        rule: Rule::KernelRegisters,
        what: "$k0 is written",
        rejected: &[li(R::K0, 1), RETURN, nop()],
        accepted: &[li(R::T9, 1), RETURN, nop()],
    },
    Case {
        rule: Rule::KernelRegisters,
        what: "$k1 is read",
        rejected: &[move_(R::V0, R::K1), RETURN, nop()],
        accepted: &[move_(R::V0, R::GP), RETURN, nop()],
    },
];

fn text(findings: &[Finding]) -> String {
    findings.iter().map(Finding::to_string).collect()
}

fn check_cases(cases: &[Case], options: &Options) {
    for Case { rule, what, rejected, accepted } in cases {
        let findings = check_code(BASE, rejected, options);
        let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [*rule], "{rule}, {what}: rejected for this and nothing else\n{}", text(&findings));

        let findings = check_code(BASE, accepted, options);
        assert!(findings.is_empty(), "{rule}, {what}: the near miss is accepted\n{}", text(&findings));
    }
}

#[test]
fn each_hazard_is_rejected_and_its_near_miss_accepted() {
    check_cases(CASES, &Options::default());
    check_cases(USER_CASES, &Options { user: true, ..Options::default() });
}

#[test]
fn every_rule_has_a_case() {
    let covered: BTreeSet<Rule> = CASES.iter().chain(USER_CASES).map(|case| case.rule).collect();
    assert_eq!(covered, BTreeSet::from(Rule::ALL));
    let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
}

#[test]
fn options_allow_what_they_say() {
    let fpu = Options { fpu: true, ..Options::default() };
    assert_eq!(check_code(BASE, &[word::MFC1_T0_F4, nop()], &fpu), []);
    // A value moved from the floating-point unit is late like any other.
    let findings = check_code(BASE, &[word::MFC1_T0_F4, move_(R::V0, R::T0)], &fpu);
    assert_eq!(findings.len(), 1);
    let except = Options { except: vec!["load-delay".parse().unwrap()], ..Options::default() };
    assert_eq!(check_code(BASE, &[lw(R::V0, 0, R::A0), move_(R::V1, R::V0)], &except), []);
    assert!("load-delays".parse::<Rule>().is_err());
    // Outside of user mode, $k0 and $k1 are registers like others.
    assert_eq!(check_code(BASE, &[li(R::K0, 1), move_(R::K1, R::K0)], &Options::default()), []);
}

/// One loop, so that a load in the delay slot has a hazard along each edge: two findings, each with its path.
#[test]
fn both_edges_are_followed() {
    let program = [addu(R::V0, R::V0, R::T0), bne(R::A0, R::A1, -2), lw(R::T0, 0, R::A0), sw(R::T0, 0, R::A2), nop()];
    let findings = check_code(BASE, &program, &Options::default());
    let paths: Vec<Vec<u32>> =
        findings.iter().map(|f| f.instructions.iter().map(|&(address, _)| address - BASE).collect()).collect();
    assert_eq!(paths, [vec![4, 8, 0], vec![4, 8, 12]]);
    assert!(findings.iter().all(|finding| finding.address == BASE + 8));
}

#[test]
fn a_finding_prints_what_is_needed_to_mend_it() {
    let findings =
        check_code(BASE, &[lw(R::T0, 0, R::A0), addu(R::V0, R::T0, R::A1), RETURN, nop()], &Options::default());
    let expected = "\
load-delay at 0x80001000
    80001000  lw $t0, 0($a0)
    80001004  addu $v0, $t0, $a1
  $t0 has not arrived yet when addu $v0, $t0, $a1 is executed
  rule: the instruction after a load or a move from a coprocessor must not read its target
";
    assert_eq!(text(&findings), expected);
}

/// A refill handler with a software TLB, scheduled by hand with no instruction to spare.
#[test]
fn a_tight_refill_handler_is_clean() {
    let (k0, k1) = (R::K0, R::K1);
    let handler = [
        lui(k1, 0x8001),
        mfc0(k0, Cp0::CONTEXT),
        lw(k1, 0x100, k1),
        andi(k0, k0, 0x3ffc),
        xor(k0, k0, k1),
        lw(k1, 0x4000, k0),
        lw(k0, 0, k0),
        mtc0(k1, Cp0::ENTRY_LO),
        mfc0(k1, Cp0::ENTRY_HI),
        nop(),
        bne(k0, k1, 4),
        mfc0(k0, Cp0::EPC), // delay slot
        tlbwr(),
        jr(k0),
        rfe(), // delay slot
        b(-1), // the slow path
        nop(),
    ];
    let findings = check_code(0x8000_0000, &handler, &Options::default());
    assert!(findings.is_empty(), "{}", text(&findings));
}

/// The last words of the address space have no successor; their addresses must not overflow.
#[test]
fn code_at_the_end_of_the_address_space() {
    assert_eq!(check_code(0xffff_fff8, &[RETURN, nop()], &Options::default()), []);
    let findings = check_code(0xffff_fffc, &[RETURN], &Options::default());
    assert_eq!(findings[0].rule, Rule::SlotMissing);
    let findings = check_code(0xffff_fffc, &[lw(R::T0, 0, R::A0)], &Options::default());
    assert_eq!(findings[0].rule, Rule::LoadDelay);
    // A slot and a successor must not be looked for at address 0 either.
    assert_eq!(check_code(0, &[nop()], &Options::default()), []);
}
