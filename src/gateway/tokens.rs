//! Credentials that end: who is asked for the next one, and when.
//!
//! A token serves until a little before its end. The first call after that waits for another one, while the others go
//! on with the old one; only where there is none does every call ask. The edge may answer from a copy that another
//! isolate left.

use crate::failure::{Failure, Kind};
use crate::json::{Raw, Text};
use crate::provider::{Credential, Exchange, Token};
use crate::sorted::SortedMap;
use crate::units::{Millis, UnixMillis};

use super::call::{Call, Stage};
use super::send::no_attempt;
use super::{Exchanged, Gateway, Step, TokenWanted};

/// How long one call is left alone with asking for a successor, and how long after a refusal nobody asks.
const PAUSE: Millis = Millis(10_000);
/// How long a refusal stands where there is no token at all.
const REFUSED: Millis = Millis(3_000);
/// A token that is refused when it is younger than this was not the reason.
const YOUNG: Millis = Millis(60_000);
/// Exchanges that are remembered: as many as rows could have, many times over.
const MOST: usize = 32;

/// The tokens of one isolate, by what they are got with.
#[derive(Debug, Default)]
pub(super) struct Tokens(SortedMap<String, Held>);

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    /// When it came.
    since: UnixMillis,
    /// Until when nobody else asks, as long as the token serves.
    asked_until: UnixMillis,
    /// Why there is none, and until when that is taken for granted.
    refused: Option<(Failure, UnixMillis)>,
    /// Copies that are not younger are of no use.
    newer_than: UnixMillis,
}

impl Tokens {
    /// What calls can be signed in with.
    pub(super) fn credential(&self, exchange: &Exchange, now: UnixMillis) -> Option<&Credential> {
        let token = self.0.get(exchange.id())?.token.as_ref()?;
        (now < token.expires).then_some(&token.credential)
    }

    /// What has to be asked for before a call can go out; none where there is a token that serves.
    ///
    /// # Errors
    /// Where there is no token, and none was given a moment ago.
    fn wanted(&mut self, exchange: &Exchange, now: UnixMillis) -> Result<Option<TokenWanted>, Failure> {
        if self.0.len() >= MOST {
            // Only secrets that are changed again and again make so many.
            self.0 = SortedMap::new();
        }
        let held = self.0.get_or_default(exchange.id().to_owned());
        match &held.token {
            Some(token) if now < token.renewed_from || (now < token.expires && now < held.asked_until) => {
                return Ok(None);
            }
            Some(_) => {}
            None => {
                if let Some((failure, _)) = held.refused.as_ref().filter(|(_, until)| now < *until) {
                    return Err(failure.clone());
                }
            }
        }
        held.asked_until = now.plus(PAUSE);
        let request = exchange.request(now);
        Ok(Some(TokenWanted { id: exchange.id().to_owned(), request, newer_than: held.newer_than }))
    }

    /// Takes the answer. A refusal leaves the token that is there, as long as it serves.
    fn answered(&mut self, exchange: &Exchange, answer: &Result<Exchanged<'_>, &str>, now: UnixMillis) {
        let held = self.0.get_or_default(exchange.id().to_owned());
        let token = answer.as_ref().ok().filter(|answer| answer.status == 200);
        match (token.and_then(|answer| exchange.read(answer.body, answer.sent)), answer) {
            (Some(token), Ok(answer)) if !answer.is_copy || now < token.renewed_from => {
                *held = Held { token: Some(token), since: now, newer_than: held.newer_than, ..Held::default() };
            }
            // Another isolate's token is nearly at its end, or cannot be read: now the issuer is asked.
            (_, Ok(answer)) if answer.is_copy => {
                held.newer_than = now;
                held.asked_until = UnixMillis(0);
            }
            (_, answer) => {
                held.token.take_if(|token| now >= token.expires);
                held.refused = Some((refusal(answer), now.plus(REFUSED)));
            }
        }
    }

    /// A provider refused the token: it is no longer used, nor any copy of it, unless it has only just come.
    fn distrust(&mut self, exchange: &Exchange, now: UnixMillis) -> bool {
        let Some(held) = self.0.get_mut(exchange.id()) else { return false };
        let is_old = now.since(held.since) >= YOUNG;
        if is_old {
            *held = Held { newer_than: now, ..Held::default() };
        }
        is_old
    }
}

impl Gateway {
    /// The step that gets a token for the attempt, where its target wants one and there is none.
    pub(super) fn sign_in(&mut self, call: &mut Call, now: UnixMillis) -> Result<Option<Step>, Failure> {
        let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
        if attempt.own_key {
            return Ok(None);
        }
        let Some(exchange) = attempt.upstream.exchange()? else { return Ok(None) };
        let Some(wanted) = self.tokens.wanted(exchange, now)? else { return Ok(None) };
        call.stage = Stage::Token;
        Ok(Some(Step::Exchange(Box::new(wanted))))
    }

    /// The token came, or did not.
    pub(super) fn signed_in(
        &mut self,
        call: &mut Call,
        answer: &Result<Exchanged<'_>, &str>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let Some(attempt) = call.attempt.as_ref() else { return Err(no_attempt()) };
        if let Some(exchange) = attempt.upstream.exchange()? {
            self.tokens.answered(exchange, answer, now);
        }
        self.send(call, now)
    }

    /// Whether a failed attempt is worth another one with a new token: its own was refused, and that for the first time.
    pub(super) fn may_sign_in_anew(&mut self, call: &mut Call, failure: &Failure, now: UnixMillis) -> bool {
        let Some(attempt) = call.attempt.as_mut() else { return false };
        // Some say with another status that the time of a credential is over.
        let is_refused = failure.upstream_status == Some(401) || failure.kind == Kind::CredentialRejected;
        if attempt.own_key || attempt.signed_in_anew || !is_refused {
            return false;
        }
        let Ok(Some(exchange)) = attempt.upstream.exchange() else { return false };
        attempt.signed_in_anew = self.tokens.distrust(exchange, now);
        attempt.signed_in_anew
    }
}

fn refusal(answer: &Result<Exchanged<'_>, &str>) -> Failure {
    let cause = match answer {
        Ok(answer) => {
            // What else they say quotes what they were sent.
            let code = std::str::from_utf8(answer.body).ok().and_then(|body| Raw::parse(body).ok());
            let code = code.and_then(|body| body.member("error")).and_then(Raw::into_text);
            let code = code.as_ref().map_or(Default::default(), Text::decode);
            let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect();
            format!("the token endpoint answered with status {} {code}", answer.status)
        }
        Err(reason) => format!("the token endpoint could not be asked: {reason}"),
    };
    let message = "The provider's token endpoint gave no token for this gateway's credential.";
    Failure::new(Kind::CredentialRejected, message).code("token_not_given").because(cause)
}
