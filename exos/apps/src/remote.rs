//! The directory of a server of NFS that the variable `NFS` names: `NFS=10.0.2.2:/exo`, and behind commas the ports of NFS and
//! MOUNT, if the server's port mapper is not to be asked for them.

use exos::process::variable;
use exos_nfs::rpc::Identity;
use exos_nfs::{Attributes, Policy, Ports};
use exos_policy::paging::Lru;

/// Ticks in a second.
const SECOND: u32 = 64;

/// Who asks.
pub const IDENTITY: Identity = Identity { machine: "exos", user: 0, group: 0 };

/// The directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Directory {
    /// The server's machine.
    pub host: &'static str,
    /// What is to be mounted.
    pub path: &'static str,
    /// The server's ports, 0 where it is to be asked.
    pub ports: Ports,
}

impl Directory {
    /// The one that the variable names; none if it does not, or is not set.
    #[must_use]
    pub fn named() -> Option<Self> {
        let mut words = variable("NFS")?.split(',');
        let (host, path) = words.next()?.split_once(':')?;
        let mut port = || words.next().map_or(Some(0), |port| port.parse().ok());
        let ports = Ports { nfs: port()?, mount: port()? };
        words.next().is_none().then_some(Self { host, path, ports })
    }
}

/// What is known of a file is believed for three seconds, and of blocks that one gives way which was not used for longest.
pub struct Seconds(pub Lru);

impl Policy for Seconds {
    type Replacement = Lru;

    fn believes(&self, _: &Attributes, ticks: u32) -> bool {
        ticks < 3 * SECOND
    }

    fn replacement(&mut self) -> &mut Lru {
        &mut self.0
    }
}
