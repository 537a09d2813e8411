//! Configurations of others: translated once, or in force as they are.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::{Daemon, Origin, Site, get};

fn plugin_cfg(site: &Site, servers: &[&Origin]) -> String {
    let servers: String = servers
        .iter()
        .enumerate()
        .map(|(number, origin)| {
            format!(
                "<Server Name=\"w{number}\" CloneID=\"c{number}\" ConnectTimeout=\"5\" ServerIOTimeout=\"60\">\
                 <Transport Hostname=\"127.0.0.1\" Port=\"{}\" Protocol=\"http\"/></Server>\n",
                origin.port()
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?>\n<Config RefreshInterval=\"1\">\n<VirtualHostGroup Name=\"v\"><VirtualHost Name=\"*:{}\"/></VirtualHostGroup>\n\
         <ServerCluster Name=\"app\">\n{servers}</ServerCluster>\n<UriGroup Name=\"u\"><Uri Name=\"/*\"/></UriGroup>\n\
         <Route ServerCluster=\"app\" UriGroup=\"u\"/>\n</Config>\n",
        site.port
    )
}

fn import(site: &Site, file: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tsuji"))
        .args(["import", file])
        .current_dir(site.directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn an_import_goes_to_standard_output_and_its_remarks_to_standard_error() {
    let site = Site::new("");
    let one = Origin::start("one");
    let text = plugin_cfg(&site, &[&one]).replace("<Config ", "<Config ASDisableNagle=\"true\" ");
    site.write("plugin-cfg.xml", &text);
    let (code, toml, remarks) = import(&site, "plugin-cfg.xml");
    assert_eq!(code, 0, "{remarks}");
    assert!(toml.contains("cloneid = \"c0\""), "{toml}");
    assert!(remarks.contains("plugin-cfg.xml: line 2: ASDisableNagle of <Config>: "), "{remarks}");
    site.write("again.toml", &toml);
    let checked = Command::new(env!("CARGO_BIN_EXE_tsuji")).arg("check").arg(site.path("again.toml")).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    site.write("default.cfg", "cluster add shop address 192.0.2.10\nport add shop:80 method http\nfrobnicate\n");
    let (code, toml, remarks) = import(&site, "default.cfg");
    assert_eq!((code, toml.contains("[[cluster.port]]")), (0, true), "{toml}{remarks}");
    assert!(remarks.contains("default.cfg: line 3: left out: "), "{remarks}");
    site.write("bomb.xml", "<!DOCTYPE a [<!ENTITY b \"c\">]>\n<Config/>");
    let (code, toml, remarks) = import(&site, "bomb.xml");
    assert_eq!((code, toml.as_str()), (1, ""));
    assert!(remarks.contains("document types and entities are not read"), "{remarks}");
    let giant = fs::File::create(site.path("giant.xml")).unwrap();
    giant.set_len(100 << 20).unwrap();
    let (code, _, remarks) = import(&site, "giant.xml");
    assert!(code == 1 && remarks.contains("is larger than"), "{remarks}");
    let (code, _, remarks) = import(&site, "tsuji.toml");
    assert!(code == 1 && remarks.contains("is TOML already"), "{remarks}");
    let (code, _, remarks) = import(&site, "gone.xml");
    assert!(code == 1 && remarks.contains("cannot read gone.xml"), "{remarks}");
}

#[test]
fn a_plugin_cfg_is_in_force_and_loaded_again_when_it_changes() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site = Site::new("");
    // On top of it: what the plug-in's file does not say.
    let rest = site.text("").split("[[cluster]]").next().unwrap().to_owned();
    site.write("rest.toml", &format!("{rest}[[cluster]]\nname = \"plugin\"\naddress = \"127.0.0.1\"\n"));
    site.write("plugin-cfg.xml", &plugin_cfg(&site, &[&one]));
    let words = ["run", "--plugin-cfg", "plugin-cfg.xml", "--config", "rest.toml"];
    let daemon = Daemon::start(site.directory.path(), &words);
    daemon.wait_until("it answers", |daemon| daemon.dscontrol("status").code == 0);
    assert_eq!(get(site.address(), "/").server(), "one");
    site.write("plugin-cfg.xml", &plugin_cfg(&site, &[&two]));
    daemon.wait_until("the new file is in force", |_| get(site.address(), "/").server() == "two");
    site.write("plugin-cfg.xml", "<Config><ServerCluster Name=\"app\">");
    daemon.wait_until("the broken file is told", |daemon| {
        daemon.errors().contains("the file ends within <ServerCluster>")
    });
    assert_eq!(get(site.address(), "/").server(), "two", "the old one is kept");
    site.write("plugin-cfg.xml", &plugin_cfg(&site, &[&one, &two]));
    daemon.wait_until("a good file again", |_| get(site.address(), "/").server() == "one");
    let explained = daemon.dscontrol_words(&[
        "explain",
        "127.0.0.1",
        &format!("plugin:{}", site.port),
        "GET / HTTP/1.1",
        "Host: x",
        "Cookie: JSESSIONID=0001abc:c1",
    ]);
    assert!(explained.out.contains("the request's session names w1, which may take it"), "{}", explained.out);
}
