//! The shell's commands, each as it is typed; and the tools that read the kernel's tables.
//@ run: init,exos_shell
//@ archive: exos_shell sh echo cat wc head true false sleep yes kill ps free slices tlb caps time ls motd
//@ timeout: 120
//@ expect: one two  three|four
//@ expect: 5 is $X, as 5
//@ expect: status 1, then 0
//@ expect: The kernel only multiplexes
//@ forbid: two of them, not
//@ expect: y
//@ expect: y
//@ expect: status 127
//@ expect: cat: nosuch: no such file
//@ expect: motd: read only
//@ expect: waited
//@ expect: a quote is not closed
//@ expect: in a pipeline
//@ expect: exos_shell: ended by a signal: 143
//@ expect: exos_shell: as it should

#![no_std]
#![no_main]

use exos::println;
use exos::process::{Spawn, file, spawn, wait};

exos::process!(main);

#[path = "../process_census.rs"]
mod census;

/// Has the shell obey commands: its status.
fn sh(commands: &str) -> u32 {
    let arguments = ["sh", "-c", commands];
    let pid = spawn(&Spawn { program: "sh", arguments: &arguments, variables: &[], files: [0, 1, 2], job: None });
    wait(Some(pid.expect("there is room"))).expect("it is a child").1.code()
}

/// What commands print, as text.
fn output<'a>(commands: &str, text: &'a mut [u8; 512]) -> &'a str {
    let (read, write) = file::pipe().expect("there is room");
    let arguments = ["sh", "-c", commands];
    let pid = spawn(&Spawn { program: "sh", arguments: &arguments, variables: &[], files: [0, write, 2], job: None });
    file::close(write).expect("it is open");
    let mut used = 0;
    while let count @ 1.. = file::read(read, &mut text[used..]).expect("it is open") {
        used += count;
    }
    file::close(read).expect("it is open");
    wait(Some(pid.expect("there is room"))).expect("it is a child");
    core::str::from_utf8(&text[..used]).expect("it is text")
}

fn main() -> u32 {
    let mut text = [0; 512];
    sh("true");
    let before = census::take();
    sh("echo one \"two  three\"'|'four # five");
    sh("X=5; echo \"$X is \"'$X', as $X");
    sh("false; echo status $?, \"then\" $(0) > /dev/null; false; echo status $?, then 0");
    sh("cat motd | head -1; cat motd motd | wc > /dev/null");
    sh("echo two of them, not shown > /dev/null");
    sh("yes | head -2");
    assert_eq!(sh("nosuch 2> /dev/null"), 127);
    sh("nosuch; echo status $?; cat nosuch; echo > motd");
    sh("sleep 0.2 & sleep 0.1; wait; echo waited");
    assert_eq!(sh("echo 'not closed"), 2);
    assert_eq!(sh("| cat"), 2);
    assert_eq!(sh("echo >"), 2);
    assert_eq!(sh("true && false"), 2);
    assert_eq!(sh("false || true"), 2);
    assert_eq!(output("ls motd bin/true nosuch 2> /dev/null", &mut text).lines().count(), 2);
    assert_eq!((sh("ls motd"), sh("ls nosuch 2> /dev/null")), (0, 1));
    assert_eq!(sh("exit 7"), 7);
    assert_eq!(sh("true | false"), 1);
    assert_eq!(sh("false | true"), 0);
    sh("X='in a pipeline'; set | cat");
    assert_eq!(output("wc < motd", &mut text).split_whitespace().next(), Some("3"));
    assert_eq!(output("cat motd | cat | cat | cat | cat | wc", &mut text).split_whitespace().next(), Some("3"));
    assert_eq!(output("echo $HOME-; echo a$Xb; Y=z; echo a${Y}", &mut text).lines().next(), Some("-"));
    let status = sh("sleep 9 & kill $! 2> /dev/null; sleep 0.1; kill 99999 2> /dev/null; exit 143");
    println!("exos_shell: ended by a signal: {status}");
    for tool in ["ps", "free", "slices", "tlb", "caps", "ls", "time true"] {
        assert_eq!(sh(tool), 0, "{tool}");
    }
    census::same(before, "the shell");
    println!("exos_shell: as it should");
    0
}
