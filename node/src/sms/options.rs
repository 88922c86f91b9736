//! Where short messages come in and where they go out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::hooks;

/// The largest number of tickets an hour that can be allowed.
pub const MOST_PER_HOUR: u32 = 10_000;

/// The longest time within which a further message belongs to the ticket before, in minutes.
pub const MOST_MINUTES: u32 = 24 * 60;

/// How short messages are served.
#[derive(Clone, Debug)]
pub struct SmsOptions {
    /// Where the gateway brings what came in (TCP); nowhere if `None`.
    pub listen: Option<SocketAddr>,
    /// The gateway's addresses: nobody else is heard.
    pub gateways: Vec<IpAddr>,
    /// The gateway's `sendsms`; nothing is sent if `None`.
    pub send: Option<String>,
    /// Our name at the gateway.
    pub user: String,
    /// The file with our password there.
    pub password: Option<PathBuf>,
    /// The number that messages come from; the gateway's own default if empty.
    pub from: String,
    /// Most tickets that are made of messages in an hour.
    pub per_hour: u32,
    /// How many minutes a sender's next message belongs to the ticket of the one before; 0 for never.
    pub join_minutes: u32,
}

impl Default for SmsOptions {
    fn default() -> SmsOptions {
        SmsOptions {
            listen: None,
            gateways: vec![Ipv4Addr::LOCALHOST.into()],
            send: None,
            user: String::new(),
            password: None,
            from: String::new(),
            per_hour: 200,
            join_minutes: 10,
        }
    }
}

impl SmsOptions {
    /// Whether all of it fits together; what is wrong otherwise.
    pub fn check(&self) -> Result<(), String> {
        let Some(listen) = self.listen else {
            return match &self.send {
                None => Ok(()),
                Some(_) => Err("sms.send needs sms.listen: delivery reports come in there".to_owned()),
            };
        };
        if listen.ip().is_unspecified() || !hooks::is_inside(listen.ip()) {
            return Err(format!(
                "telephone numbers cross the network in clear on {listen}: name one address of this machine, loopback or of \
                 a private network"
            ));
        }
        if self.gateways.is_empty() {
            return Err("sms.gateways is empty, and nobody could bring a message".to_owned());
        }
        if self.send.is_some() && (self.user.is_empty() || self.password.is_none()) {
            return Err("sms.send needs sms.user, and sms.password, a file with the password".to_owned());
        }
        Ok(())
    }
}

/// The gateway's URL, or `off`.
pub fn send(text: &str) -> Result<Option<String>, String> {
    if text == "off" {
        return Ok(None);
    }
    hooks::check(text, None).map_err(|failure| failure.message)?;
    Ok(Some(text.to_owned()))
}

/// A number that messages come from, or a name at the gateway: what a header may hold.
pub fn word(text: &str) -> Result<String, String> {
    match text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("is at most 64 letters, digits and signs of ASCII, without blanks".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_told() {
        let whole = || SmsOptions {
            listen: "127.0.0.1:1".parse().ok(),
            send: send("http://127.0.0.1:13013/cgi-bin/sendsms").unwrap(),
            user: "hotline".to_owned(),
            password: Some("pw".into()),
            ..SmsOptions::default()
        };
        let check = |options: SmsOptions, words: &str| {
            assert!(options.check().unwrap_err().contains(words), "{words}");
        };
        assert_eq!(SmsOptions::default().check(), Ok(()));
        assert_eq!(whole().check(), Ok(()));
        assert_eq!(SmsOptions { send: None, ..whole() }.check(), Ok(()), "only in");
        check(SmsOptions { listen: None, ..whole() }, "sms.listen");
        check(SmsOptions { listen: "0.0.0.0:1".parse().ok(), ..whole() }, "in clear");
        check(SmsOptions { listen: "8.8.8.8:1".parse().ok(), ..whole() }, "in clear");
        check(SmsOptions { gateways: Vec::new(), ..whole() }, "sms.gateways");
        check(SmsOptions { password: None, ..whole() }, "sms.password");
        assert!(send("http://8.8.8.8/").is_err() && send("nowhere").is_err());
        assert_eq!(send("off"), Ok(None));
        assert!(word("a b").is_err() && word("12328").is_ok());
    }
}
