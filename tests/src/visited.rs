//! What the programs share that have a server of HTTP which this host visits.

use exos::println;
use exos::process::{Spawn, arguments, file, sleep, spawn, try_wait};
use exos_rt::net;

/// Starts the server with these arguments, and says that it is ready for visitors when it is: its number. Its address it
/// learns by DHCP.
pub fn serve(words: &[&str]) -> u32 {
    let files = [file::INPUT, file::OUTPUT, file::ERROR];
    let httpd = spawn(&Spawn { program: "httpd", arguments: words, variables: &[], files, job: None }).unwrap();
    // When it looks at the network for the first time it listens already: then there are the port's filter and the two by
    // which the machine is found.
    while net::filters().count() < 3 {
        assert_eq!(try_wait(Some(httpd)), Ok(None), "it has ended");
        sleep(1);
    }
    println!("{}: ready for visitors", arguments().next().unwrap());
    httpd
}
