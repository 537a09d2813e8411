//! Plans of a site that changes, without any frame: a port whose table stays is not compiled again, unless its service depends on the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tsuji::config::{Change, Document, split_words};
use tsuji::dispatcher::{Dispatcher, Event, Plan as Adoption, Resources};
use tsuji::executor::CookieKey;
use tsuji::message::SorrySite;
use tsuji::packet::compile::{Compiler, HOLD};
use tsuji::packet::{Plan, ServicePlan};

const SITE: &str = "
    executor set interfaces eth0
    cluster add shop address 192.0.2.10
    port add shop:80+443+8080 method mac
    server add shop:80:a address 10.1.0.1
    server add shop:80:e address 10.1.0.5
    server add shop:443:b address 10.1.0.2
    server add shop:8080:c address 10.1.0.3
    server add shop:8080:d address 10.1.0.4
    rule add shop:8080:day type time beginrange 8 endrange 18
    rule useserver shop:8080:day c
";

struct Site {
    dispatcher: Dispatcher,
    compiler: Compiler,
    start: Instant,
}

impl Site {
    fn new() -> Self {
        let start = Instant::now();
        let mut site = Self {
            dispatcher: Dispatcher::new(1, 1, CookieKey::new(&[7; 32]), start),
            compiler: Compiler::default(),
            start,
        };
        let document = Document::parse(SITE, "/site.cfg").unwrap();
        let plan = site.dispatcher.plan_file(document, "/site.cfg").unwrap_or_else(|faults| panic!("{faults}"));
        site.adopt(plan);
        site
    }

    fn adopt(&mut self, plan: Adoption) {
        let sorry = plan.needs.sorry.iter();
        let sorry = sorry.map(|page| (page.clone(), Arc::new(SorrySite::built_in(page).unwrap()))).collect();
        self.dispatcher.adopt(plan, &Resources { sorry, ..Resources::default() }, self.start);
    }

    fn command(&mut self, line: &str) {
        let change = Change::parse(&split_words(line).unwrap()).unwrap().unwrap();
        let plan = self.dispatcher.plan_change(&change).unwrap();
        self.adopt(plan);
    }

    fn compile(&mut self, after: Duration, hour: u8) -> Plan {
        self.compiler.compile(self.dispatcher.table(), self.start + after, hour)
    }
}

fn service<'p>(plan: &'p Plan, name: &str) -> &'p Arc<ServicePlan> {
    plan.services.iter().find(|service| service.name == name).unwrap()
}

fn is_shared(one: &Plan, other: &Plan, name: &str) -> bool {
    Arc::ptr_eq(service(one, name), service(other, name))
}

#[test]
fn a_change_of_one_port_leaves_the_others() {
    let mut site = Site::new();
    let before = site.compile(Duration::ZERO, 12);
    site.command("server set shop:80:a weight 3");
    let after = site.compile(Duration::ZERO, 12);
    assert!(!is_shared(&before, &after, "shop:80") && is_shared(&before, &after, "shop:443"));
    assert_ne!(service(&before, "shop:80"), service(&after, "shop:80"));
    assert_eq!(after, Compiler::default().compile(site.dispatcher.table(), site.start, 12));
    site.command("port remove shop:443");
    let after = site.compile(Duration::ZERO, 12);
    assert!(after.services.iter().all(|service| service.name != "shop:443"));
}

#[test]
fn what_depends_on_the_time_is_compiled_again() {
    let mut site = Site::new();
    let (day, night) = (site.compile(Duration::ZERO, 12), site.compile(Duration::ZERO, 20));
    assert_eq!((service(&day, "shop:8080").rules.len(), service(&night, "shop:8080").rules.len()), (1, 0));
    assert!(is_shared(&day, &night, "shop:443"));
    let gone = HashMap::from([([10, 1, 0, 2].into(), "it is gone".to_owned())]);
    site.dispatcher.handle(Event::Unreached(gone), site.start);
    let flags = |plan: Plan| service(&plan, "shop:443").servers[0].flags;
    let (first, held) = (flags(site.compile(Duration::ZERO, 12)), flags(site.compile(HOLD, 12)));
    assert_eq!((first.down, first.dead, held.dead), (true, false, true));
}
