//! `hotline cert check`: whether an identity or an authority can be used, today and next month.

use std::path::PathBuf;

use certs::{Authority, Enrolment, Identity, NodeName, UnixTime};
use clap::Args;
use serde_json::{Value, json};

use super::day;
use crate::request::{Failure, FailureKind};

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// An identity, a data directory, or an authority.
    dir: PathBuf,
    /// The node that it has to be.
    #[arg(long, value_name = "NODE")]
    node: Option<NodeName>,
    /// Also complains of a certificate that ends within so many days.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    within: i64,
}

impl CheckArgs {
    /// What was found to be fine; otherwise what is wrong and what to do.
    pub(super) fn run(&self, now: UnixTime) -> Result<Value, Failure> {
        let inside = self.dir.join(crate::engine::IDENTITY);
        let dir = if inside.exists() { &inside } else { &self.dir };
        if dir.join("ca.key").exists() || dir.join("ca.crt").exists() {
            let authority = Authority::load(dir).map_err(|e| {
                Failure::new(FailureKind::Configuration, "this authority cannot be used")
                    .because(e)
                    .hint("put its directory back from a backup")
            })?;
            let until = authority.until();
            self.term(
                &authority.jurisdiction().to_string(),
                now,
                None,
                until,
                "have the root make a new one",
            )?;
            return Ok(json!({
                "authority": authority.jurisdiction().to_string(), "days_left": now.days_until(until),
                "until": day(until), "issued": authority.issued().len(), "revoked": authority.revoked().len(),
            }));
        }
        if !dir.join("record").exists() && dir.join("request").exists() {
            let enrolment = Enrolment::load(dir).map_err(unusable)?;
            return Err(Failure::new(
                FailureKind::NeedsPerson,
                format!("{} has no certificate yet", enrolment.request().node),
            )
            .because(format!("its request has the fingerprint {}", enrolment.request().fingerprint()))
            .hint(format!(
                "carry {} to its authority; then: hotline cert admit RESPONSE --identity {}",
                dir.join("request").display(),
                dir.display()
            )));
        }
        let identity = Identity::load(dir).map_err(unusable)?;
        if let Some(wanted) = self.node.filter(|wanted| *wanted != identity.node()) {
            return Err(Failure::new(
                FailureKind::Configuration,
                format!("this identity is {}'s and not {wanted}'s", identity.node()),
            )
            .hint("name the right directory"));
        }
        let leaf = &identity.record().leaf;
        self.term(
            &identity.node().to_string(),
            now,
            Some(leaf.from),
            leaf.until,
            "renew it: hotline cert request --renew DIR --out FILE",
        )?;
        Ok(json!({
            "node": identity.node(), "name": identity.node().dns(), "days_left": now.days_until(leaf.until),
            "until": day(leaf.until), "root": identity.root().fingerprint().to_string(),
        }))
    }

    fn term(
        &self,
        who: &str,
        now: UnixTime,
        from: Option<UnixTime>,
        until: UnixTime,
        next: &str,
    ) -> Result<(), Failure> {
        let person = |what: String| Err(Failure::new(FailureKind::NeedsPerson, what));
        let left = now.days_until(until);
        match from {
            Some(from) if now < from => person(format!("the certificate of {who} begins on {}", day(from)))
                .map_err(|f| f.hint("look at this machine's date first")),
            _ if now > until => {
                person(format!("the certificate of {who} ended on {}", day(until))).map_err(|f| f.hint(next))
            }
            _ if left < self.within => {
                person(format!("the certificate of {who} ends in {left} days, on {}", day(until)))
                    .map_err(|f| f.hint(next))
            }
            _ => Ok(()),
        }
    }
}

fn unusable(e: certs::IdentityError) -> Failure {
    Failure::new(FailureKind::Configuration, "this identity cannot be used")
        .because(e)
        .hint("put its directory back from a backup, or have the node enrolled anew: hotline cert request")
}
