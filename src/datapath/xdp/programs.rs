//! The program at each interface, and the pins by which it outlives this process.

use std::fs;
use std::path::{Path, PathBuf};

use aya::maps::Map;
use aya::programs::XdpMode as Mode;

use crate::model::{EngineSettings, XdpMode};
use crate::packet::hash::HashKeys;

use super::attach::{AttachError, Attachment, Place};
use super::engine::Interface;
use super::heritage::{Estate, Heritage};
use super::load::{LoadError, Loaded, Loading, PINNED, Sizes};
use super::lock::PinLock;
use super::pins::{PinError, Pins};
use super::tables::Tables;

/// The programs of one directory of pins, which is this process's alone meanwhile.
#[derive(Debug)]
pub(super) struct Programs {
    keys: HashKeys,
    sizes: Sizes,
    mode: XdpMode,
    pins: Pins,
    lock: PinLock,
    /// Until this version's programs are in their place.
    heritage: Vec<Heritage>,
    /// In the order of the interfaces.
    posts: Vec<Post>,
}

#[derive(Debug)]
struct Post {
    loaded: Loaded,
    attachment: Option<Attachment>,
}

/// A directory of pins before anything is loaded.
#[derive(Debug)]
pub(super) struct Ground {
    pub pins: Pins,
    lock: PinLock,
    heritage: Vec<Heritage>,
    mode: XdpMode,
}

impl Ground {
    /// The directory, for this process alone.
    pub fn take(settings: &EngineSettings) -> Result<Self, PinError> {
        let pins = Pins::at(&settings.bpffs)?;
        let lock = PinLock::take(pins.maps())?;
        let heritage = Heritage::all(&settings.bpffs)?;
        Ok(Self { pins, lock, heritage, mode: settings.xdpmode })
    }

    /// Takes over what it can of another version's tables, where there are none of this one's.
    pub fn inherit(&self) -> Option<Estate> {
        let found = self.heritage.iter().rev().find_map(|heritage| {
            let estate = heritage.share(self.pins.maps())?;
            tracing::info!(
                target: "tsuji::state",
                "connections, affinity and servers of an earlier version (schema {}) are taken over",
                heritage.schema()
            );
            Some(estate)
        });
        if found.is_none() && !self.heritage.is_empty() {
            tracing::warn!(
                target: "tsuji::state",
                "another version's tables mean other things than this one's: its connections are forgotten"
            );
        }
        found
    }

    /// Loads the program for each interface. Nothing is attached yet.
    pub fn load(self, keys: HashKeys, sizes: Sizes, interfaces: &[Interface]) -> Result<Programs, LoadError> {
        let Self { pins, lock, heritage, mode } = self;
        let mut programs = Programs { keys, sizes, mode, pins, lock, heritage, posts: Vec::new() };
        for interface in interfaces {
            let loaded = programs.load(interface)?;
            programs.posts.push(Post { loaded, attachment: None });
        }
        Ok(programs)
    }
}

impl Programs {
    fn load(&self, interface: &Interface) -> Result<Loaded, LoadError> {
        let pins = Some(self.pins.maps().to_owned());
        Loading { keys: self.keys, sizes: self.sizes, mac: interface.mac, pins }.load()
    }

    /// The tables that all of them share, and the maps that this process only holds; to be asked once.
    pub fn tables(&mut self) -> Result<(Tables, Vec<Map>), LoadError> {
        let first = self.posts.first_mut().ok_or_else(|| LoadError::Other("no interface is named".to_owned()))?;
        let tables = first.loaded.tables()?;
        let maps = ["affinity", "fragments"].into_iter().filter_map(|name| first.loaded.take_map(name)).collect();
        Ok((tables, maps))
    }

    /// Puts the programs at their interfaces. On an error none of those that came new stays.
    pub fn attach(&mut self, interfaces: &[Interface]) -> Result<(), AttachError> {
        let mut new: Vec<PathBuf> = Vec::new();
        for (post, interface) in self.posts.iter_mut().zip(interfaces) {
            let mut place = place(&self.pins, self.mode, interface);
            place.before = self.heritage.iter().rev().find_map(|heritage| heritage.link(interface.index));
            let is_new = !place.pin.exists();
            match place.attach(&mut post.loaded) {
                Ok(attachment) => post.attachment = Some(attachment),
                Err(error) => {
                    self.posts.iter_mut().for_each(|post| post.attachment = None);
                    new.iter().for_each(|pin| drop(fs::remove_file(pin)));
                    return Err(error);
                }
            }
            new.extend(is_new.then_some(place.pin));
        }
        self.heritage.drain(..).for_each(|heritage| heritage.remove());
        self.leave_others(interfaces);
        Ok(())
    }

    /// An interface that is configured no more, but was when this began to forward there.
    fn leave_others(&self, interfaces: &[Interface]) {
        let is_other = |index: &u32| interfaces.iter().all(|interface| interface.index != *index);
        for index in self.pins.links().into_iter().filter(is_other) {
            tracing::info!(target: "tsuji::state", "interface {index} is not among `interfaces` any more: the program is taken away");
            let _ = fs::remove_file(self.pins.link(index));
        }
    }

    /// Puts the program at an interface in the place of the one before: it is loaded again, because it has the interface's MAC
    /// address as a constant, and shares the tables that are pinned. Where the same interface has another address, its link
    /// goes from one program to the other without a packet in between.
    pub fn serve(&mut self, place: usize, interface: &Interface) -> Result<(), AttachError> {
        if self.is_detached() {
            return Err(AttachError::Detached { interface: interface.name.clone() });
        }
        let mut loaded = self.load(interface)?;
        if self.interface(place).is_some_and(|index| index != interface.index) {
            self.let_go(place);
        }
        let mut attached = self::place(&self.pins, self.mode, interface).attach(&mut loaded)?;
        if let Some(post) = self.posts.get_mut(place) {
            attached.mode = attached.mode.or(post.attachment.as_ref().and_then(|before| before.mode));
            *post = Post { loaded, attachment: Some(attached) };
        }
        Ok(())
    }

    /// Takes the program and its pin away from an interface that has gone.
    pub fn let_go(&mut self, place: usize) {
        let attachment = self.posts.get_mut(place).and_then(|post| post.attachment.take());
        if let Some(attachment) = attachment {
            let _ = fs::remove_file(self.pins.link(attachment.interface));
        }
    }

    fn interface(&self, place: usize) -> Option<u32> {
        Some(self.posts.get(place)?.attachment.as_ref()?.interface)
    }

    /// Whether the tables are pinned no more. A program that is loaded then would get tables of its own.
    fn is_detached(&self) -> bool {
        self.lock.has_lost("live")
    }

    /// How the interface at this place is served.
    pub fn mode(&self, place: usize) -> Option<&'static str> {
        let attachment = self.posts.get(place)?.attachment.as_ref()?;
        Some(match attachment.mode {
            Some(Mode::Driver) => "XDP (native)",
            Some(_) => "XDP (generic)",
            None => "XDP (adopted)",
        })
    }

    /// Whether somebody took the pin of the interface at this place away. Then the program is let go, because that is what
    /// was meant: `detach` ends the forwarding, and the descriptor in this process alone would keep it up.
    pub fn let_go_if_detached(&mut self, place: usize) -> bool {
        let is_detached = self.is_detached();
        let Some(post) = self.posts.get_mut(place) else { return false };
        let lost =
            |attachment: &mut Attachment| is_detached || self.lock.has_lost(&Pins::link_name(attachment.interface));
        post.attachment.take_if(lost).is_some()
    }

    /// Takes away what this start has pinned, when it comes to nothing.
    pub fn remove_maps(&self) {
        remove_maps(self.pins.maps());
    }
}

/// Takes the maps' pins and their directory away.
pub(super) fn remove_maps(directory: &Path) {
    PINNED.iter().for_each(|name| drop(fs::remove_file(directory.join(name))));
    drop(fs::remove_dir(directory));
}

fn place(pins: &Pins, mode: XdpMode, interface: &Interface) -> Place {
    Place { name: interface.name.clone(), index: interface.index, mode, pin: pins.link(interface.index), before: None }
}
