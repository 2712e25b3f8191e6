//! A process with a page table of its program's choice does what any other does: demand zero, fork and copy on write, rights
//! of pages, paging out, spawn and exec; and when there is no memory that is said, and nothing is lost.

#[path = "scarce.rs"]
mod scarce;

use exos::println;
use exos::process::paging::{resident, set_quota};
use exos::process::space::{READ, RIGHTS, STACK_TOP, START, protect};
use exos::process::table::{Status, signal};
use exos::process::{self, Fail, Spawn, exec, fork, spawn, wait};
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::shared::Shared;
use scarce::{census, fails_until_enough};

/// Pages of the heap: so many that a table of any form has several pages.
const HEAP: u32 = 700;
/// How many of them are used, and how many frames the process may have for them then.
const USED: u32 = 48;
const QUOTA: u32 = 24;

/// A word of the file's data, and one of zeros.
static DATA: Shared<u32> = Shared::new(1995);
static ZEROS: Shared<u32> = Shared::new(0);
/// Where the heap begins.
static AT: Shared<u32> = Shared::new(0);

/// What a program of the test is.
pub fn run() -> u32 {
    if process::arguments().nth(1) == Some("again") {
        assert_eq!((DATA.get(), ZEROS.get()), (1995, 0));
        return 23;
    }
    let start = process::grow(HEAP * PAGE_BYTES).expect("there is room").next_multiple_of(PAGE_BYTES);
    AT.set(start);
    let cases: [(&str, fn()); 5] =
        [("fork", forks), ("rights", rights), ("programs", programs), ("no memory", no_memory), ("paging", pages)];
    for (what, case) in cases {
        // What this process itself needs it has when it has done everything once.
        case();
        let before = census::take();
        case();
        census::same(before, what);
    }
    println!("{}: a process as any other", process::called());
    0
}

fn word(page: u32) -> *mut u32 {
    (AT.get() + page * PAGE_BYTES + page * 52 % PAGE_BYTES) as *mut u32
}

fn read(page: u32) -> u32 {
    // SAFETY: the heap is data that nothing else refers to. Likewise below.
    unsafe { word(page).read_volatile() }
}

fn write(page: u32, value: u32) {
    // SAFETY: as above.
    unsafe { word(page).write_volatile(value) }
}

/// Runs a function in a child: how that ended.
fn in_child(function: fn()) -> Status {
    match fork().expect("there is room") {
        None => {
            function();
            process::exit(0)
        }
        Some(pid) => wait(Some(pid)).expect("it is a child").1,
    }
}

/// Each of parent, child and grandchild sees what was there, and its own changes only.
fn forks() {
    DATA.set(1995);
    ZEROS.set(0);
    (0..4).for_each(|page| write(page, 100 + page));
    let status = in_child(|| {
        assert_eq!((DATA.get(), ZEROS.get(), read(3), read(HEAP - 2)), (1995, 0, 103, 0));
        DATA.set(1);
        ZEROS.set(2);
        write(3, 3);
        write(HEAP - 2, 4);
        let status = in_child(|| {
            assert_eq!((DATA.get(), ZEROS.get(), read(2), read(3), read(HEAP - 2)), (1, 2, 102, 3, 4));
            DATA.set(11);
            write(3, 13);
        });
        assert_eq!(status, Status::exit(0));
        assert_eq!((DATA.get(), read(3)), (1, 3));
    });
    assert_eq!(status, Status::exit(0));
    assert_eq!((DATA.get(), ZEROS.get(), read(3), read(HEAP - 2)), (1995, 0, 103, 0));
    // The parent writes first.
    match fork().expect("there is room") {
        None => {
            process::sleep(4);
            process::exit(read(0) & 0xff);
        }
        Some(pid) => {
            write(0, 7);
            assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(100))));
        }
    }
    assert_eq!(read(0), 7);
}

/// An access that a page does not allow ends who makes it, also in a child that has the page from its parent.
fn rights() {
    let ends = |what: fn()| assert_eq!(in_child(what), Status::signal(signal::SEGV));
    let first = AT.get();
    (0..4).for_each(|page| write(page, 100 + page));
    protect(first, 2, READ).expect("they are there");
    assert_eq!(read(0) + read(1), 201);
    ends(|| write(1, 0));
    ends(|| write(0, 0));
    protect(first + PAGE_BYTES, 1, 0).expect("it is there");
    ends(|| _ = read(1));
    assert_eq!(read(0), 100);
    // The child may give itself what its parent did not have.
    let status = in_child(|| {
        protect(AT.get(), 2, RIGHTS).expect("they are there");
        write(0, 5);
        assert_eq!(read(1), 101);
        write(1, 6);
    });
    assert_eq!(status, Status::exit(0));
    protect(first, 2, RIGHTS).expect("they are there");
    write(0, 9);
    assert_eq!((read(0), read(1)), (9, 101));
    // A page of zeros that nobody has touched, and one of the file's data.
    let untouched = first + (HEAP - 3) * PAGE_BYTES;
    protect(untouched, 1, READ).expect("it is there");
    ends(|| write(HEAP - 3, 1));
    assert_eq!(read(HEAP - 3), 0);
    protect(untouched, 1, RIGHTS).expect("it is there");
    let data = DATA.as_ptr() as u32 & !(PAGE_BYTES - 1);
    let status = in_child(|| {
        protect(DATA.as_ptr() as u32, 1, READ).expect("it is there");
        DATA.set(1);
    });
    assert_eq!(status, Status::signal(signal::SEGV));
    assert!(data >= START);
    for (address, pages) in
        [(0, 1), (first, HEAP + 1), (STACK_TOP, 1), (STACK_TOP - 20 * PAGE_BYTES, 1), (first, u32::MAX)]
    {
        assert_eq!(protect(address, pages, READ), Err(Fail::BadAddress), "{address:#x}");
    }
    write(1, 1);
}

/// More pages than frames: what was written comes back, to the process and to a child.
fn pages() {
    (0..USED).for_each(|page| write(page, page + 1));
    set_quota(QUOTA).expect("there is memory");
    let mut random = 1_u32;
    let mut value = [0; USED as usize];
    value.iter_mut().zip(1..).for_each(|(value, number)| *value = number);
    for _ in 0..300 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let page = (random >> 8) % USED;
        assert_eq!(read(page), value[page as usize], "page {page}");
        if random >> 31 == 0 {
            value[page as usize] = random;
            write(page, random);
        }
    }
    // The first new frame takes it below what it may have.
    write(USED, 1);
    assert!(resident() <= QUOTA, "{}", resident());
    protect(AT.get() + USED * PAGE_BYTES, 1, READ).expect("it is there");
    VALUES.set(value);
    let status = in_child(|| {
        assert!((0..USED).all(|page| read(page) == VALUES.get()[page as usize]));
        (0..USED).for_each(|page| write(page, 0));
        assert!((0..USED).all(|page| read(page) == 0));
    });
    assert_eq!(status, Status::exit(0));
    assert!((0..USED).all(|page| read(page) == value[page as usize]));
    protect(AT.get() + USED * PAGE_BYTES, 1, RIGHTS).expect("it is there");
    set_quota(0).expect("it needs nothing");
    assert!((0..USED).all(|page| read(page) == value[page as usize]));
}

static VALUES: Shared<[u32; USED as usize]> = Shared::new([0; USED as usize]);

fn itself() -> Result<u32, Fail> {
    let name = process::called();
    spawn(&Spawn { program: name, arguments: &[name, "again"], variables: &[], files: [0, 1, 2], job: None })
}

/// Who makes a process need not have the same form.
fn programs() {
    let pid = itself().expect("there is room");
    assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(23))));
    let other = Spawn { program: "true", arguments: &["true"], variables: &[], files: [0, 1, 2], job: None };
    let pid = spawn(&other).expect("there is room");
    assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(0))));
    let status = in_child(|| {
        let name = process::called();
        panic!("{:?}", exec(name, &[name, "again"], &[]).err());
    });
    assert_eq!(status, Status::exit(23));
    let status = in_child(|| panic!("{:?}", exec("true", &["true"], &[]).err()));
    assert_eq!(status, Status::exit(0));
}

fn no_memory() {
    let waited = |pid: u32| wait(Some(pid)).expect("it is a child").1;
    fails_until_enough("fork", || {
        fork().map(|pid| match pid {
            None => process::exit(0),
            Some(pid) => waited(pid),
        })
    });
    fails_until_enough("spawn", || {
        itself().map(|pid| match waited(pid) {
            status if status == Status::exit(23) => Status::exit(0),
            status => status,
        })
    });
}
