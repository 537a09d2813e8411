//! From a loaded program to an interface: the ladder of modes, links that outlive the process, and whoever is there already.

use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp, XdpMode as Mode, loaded_programs};

use crate::model::XdpMode;

use super::load::{LoadError, Loaded, in_full};

/// The program at an interface. It stays there when this is dropped while its link is pinned, and no longer otherwise.
#[derive(Debug)]
pub struct Attachment {
    pub interface: u32,
    /// What this process itself attached; an adopted link tells no mode.
    pub mode: Option<Mode>,
    /// Held for its descriptor, so that a pin which somebody takes away by mistake does not take the program with it.
    _link: FdLink,
}

/// Why the program is not at the interface. Nothing is left there.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error(
        "interface {interface}: another XDP program is there already ({program}); take it away first, as with \
         `ip link set dev {interface} xdp off`"
    )]
    Foreign { interface: String, program: String },
    #[error("interface {interface}: its driver refuses the program ({reason}); xdpmode = \"generic\" would be right")]
    NativeRefused { interface: String, reason: String },
    #[error("interface {interface}: the kernel refuses the program: {reason}")]
    Refused { interface: String, reason: String },
    #[error("interface {interface}: this kernel has no XDP links (5.9 and later have)")]
    NoLink { interface: String },
    #[error("{path}: the link cannot be pinned: {reason}")]
    Pin { path: PathBuf, reason: String },
    #[error("{path}: the link that is pinned there is of an interface that has gone")]
    DeadLink { path: PathBuf },
    #[error("interface {interface}: the tables were taken away (`tsuji datapath detach`); a restart makes new ones")]
    Detached { interface: String },
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Where to attach, and how.
#[derive(Clone, Debug)]
pub struct Place {
    pub name: String,
    pub index: u32,
    pub mode: XdpMode,
    /// Where its link is pinned.
    pub pin: PathBuf,
    /// Where another version pinned the link that is there.
    pub before: Option<PathBuf>,
}

impl Place {
    /// Puts the program at the interface. A link that an earlier process or another version pinned gets it in the place of its
    /// old one, so that not one packet goes without.
    pub fn attach(&self, loaded: &mut Loaded) -> Result<Attachment, AttachError> {
        let program = loaded.program()?;
        if self.pin.exists() {
            match self.replace(program, &self.pin) {
                Err(AttachError::DeadLink { .. }) => drop(std::fs::remove_file(&self.pin)),
                replaced => return Ok(self.attachment(None, replaced?)),
            }
        }
        if let Some(before) = &self.before {
            match self.replace(program, before) {
                Err(AttachError::DeadLink { .. }) => {}
                replaced => return Ok(self.attachment(None, self.pinned(replaced?)?)),
            }
        }
        let (link, mode) = self.climb(program)?;
        Ok(self.attachment(Some(mode), self.pinned(link)?))
    }

    fn attachment(&self, mode: Option<Mode>, link: FdLink) -> Attachment {
        Attachment { interface: self.index, mode, _link: link }
    }

    fn pinned(&self, link: FdLink) -> Result<FdLink, AttachError> {
        let refused = |error| AttachError::Pin { path: self.pin.clone(), reason: in_full(&error) };
        Ok(link.pin(&self.pin).map_err(refused)?.into())
    }

    fn replace(&self, program: &mut Xdp, pin: &Path) -> Result<FdLink, AttachError> {
        let refused = |reason: String| AttachError::Refused { interface: self.name.clone(), reason };
        let pinned = PinnedLink::from_pin(pin).map_err(|error| refused(in_full(&error)))?;
        let link = XdpLink::try_from(FdLink::from(pinned)).map_err(|error| refused(in_full(&error)))?;
        let id = program.attach_to_link(link).map_err(|error| match error {
            // Its interface has gone, and this one has its number: an address of the pin, not of the link.
            ProgramError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::ENOLINK) => {
                AttachError::DeadLink { path: pin.to_owned() }
            }
            error => refused(in_full(&error)),
        })?;
        let link = program.take_link(id).map_err(|error| refused(in_full(&error)))?;
        FdLink::try_from(link).map_err(|error| refused(in_full(&error)))
    }

    /// The driver first, the generic path where it refuses and that is allowed.
    fn climb(&self, program: &mut Xdp) -> Result<(FdLink, Mode), AttachError> {
        let native = match self.mode {
            XdpMode::Generic => return Ok((self.attach_in(program, Mode::Skb)?, Mode::Skb)),
            XdpMode::Auto | XdpMode::Native => self.attach_in(program, Mode::Driver),
        };
        match native {
            Ok(link) => Ok((link, Mode::Driver)),
            Err(AttachError::Refused { interface, reason }) if self.mode == XdpMode::Native => {
                Err(AttachError::NativeRefused { interface, reason })
            }
            Err(AttachError::Refused { reason, .. }) => {
                tracing::warn!(
                    "interface {}: its driver refuses the XDP program ({reason}); the kernel's generic receive path, which \
                     costs more per packet, is used",
                    self.name
                );
                Ok((self.attach_in(program, Mode::Skb)?, Mode::Skb))
            }
            Err(other) => Err(other),
        }
    }

    fn attach_in(&self, program: &mut Xdp, mode: Mode) -> Result<FdLink, AttachError> {
        let refused =
            |error: &ProgramError| AttachError::Refused { interface: self.name.clone(), reason: in_full(error) };
        let id = match program.attach_to_if_index(self.index, mode) {
            Ok(id) => id,
            Err(ProgramError::SyscallError(error))
                if matches!(error.io_error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) =>
            {
                return Err(AttachError::Foreign { interface: self.name.clone(), program: xdp_programs() });
            }
            Err(error) => return Err(refused(&error)),
        };
        let link = program.take_link(id).map_err(|error| refused(&error))?;
        // Where the kernel has no links the library attaches in the old way, which ends with the process: dropping that
        // one takes the program away again.
        FdLink::try_from(link).map_err(|_| AttachError::NoLink { interface: self.name.clone() })
    }
}

/// The kernel's number for them (include/uapi/linux/bpf.h), which the library does not export.
const PROGRAM_TYPE_XDP: u32 = 6;

/// The XDP programs of this host that are not ours, for people to find the one at their interface.
fn xdp_programs() -> String {
    let programs = loaded_programs().flatten().filter(|program| {
        program.program_type() as u32 == PROGRAM_TYPE_XDP && program.name_as_str() != Some(super::object::PROGRAM)
    });
    let named =
        programs.map(|program| format!("{} with id {}", program.name_as_str().unwrap_or("nameless"), program.id()));
    let named: Vec<String> = named.collect();
    if named.is_empty() { "its name is not known".to_owned() } else { named.join(", ") }
}
