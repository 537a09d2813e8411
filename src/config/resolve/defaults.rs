//! What objects that are added later begin with.

use std::time::Duration;

use super::View;
use crate::config::Document;
use crate::config::schema::Kind;
use crate::model::{Name, StickyMask, WeightBound};

/// What a new port has where nothing else is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortDefaults {
    pub stickytime: Duration,
    pub stickymask: StickyMask,
    pub weightbound: WeightBound,
    /// `None`: by the port's number (300 s, port 21: 900 s, port 23: 32,000,000 s).
    pub staletimeout: Option<Duration>,
}

impl Document {
    /// What a port begins with that is added to this cluster now; without a cluster, to a new one.
    pub fn port_defaults(&self, cluster: Option<&Name>) -> PortDefaults {
        let root = View::root(&self.root);
        let giver = match cluster {
            None => Some(root.single(Kind::Executor)),
            Some(wanted) => root.named(Kind::Cluster).find(|(name, _)| *name == wanted).map(|(_, view)| view),
        };
        defaults(giver.unwrap_or(root.single(Kind::Executor)))
    }
}

fn defaults(view: View<'_>) -> PortDefaults {
    let mask = StickyMask::new(view.whole("stickymask"), view.whole("stickymask6"));
    PortDefaults {
        stickytime: view.seconds("stickytime"),
        stickymask: mask.unwrap_or(StickyMask::DEFAULT),
        weightbound: WeightBound::new(view.whole("weightbound")).unwrap_or(WeightBound::DEFAULT),
        staletimeout: view.said("staletimeout").map(|_| view.seconds("staletimeout")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_keeps_what_it_was_created_with() {
        let text = "executor set stickytime 60\ncluster add shop address 192.0.2.10\nexecutor set stickytime 90 staletimeout 30\n";
        let document = Document::parse(text, "site.cfg").expect("a script");
        let shop = Name::new("shop").expect("a name");
        let seconds = |cluster| document.port_defaults(cluster).stickytime.as_secs();
        assert_eq!((seconds(Some(&shop)), seconds(None)), (60, 90));
        // The executor's new value stops at clusters that are there: they keep the 300 s that held when they were made.
        assert_eq!(document.port_defaults(Some(&shop)).staletimeout, Some(Duration::from_secs(300)));
        assert_eq!(document.port_defaults(None).staletimeout, Some(Duration::from_secs(30)));
        assert_eq!(Document::default().port_defaults(None).weightbound, WeightBound::DEFAULT);
    }
}
