//! The ID token of a person, as new as it must be: renewed by one alone, in
//! this process and among all that share the database (OpenID Connect Core
//! section 12). Only `invalid_grant` ends it.

use std::time::Duration;

use trunkline_model::{ClientAuthMethod, GivenClient, Timestamp, UserId, UserKind};
use trunkline_storage::{KeptIdentity, Saved, StoreError};

use super::super::Login;
use super::id_token::{Asked, end_of};
use super::kept::Kept;
use super::{Issuer, OidcError};
use crate::client::token::{self, Granted, Proof, TokenError};
use crate::client::{Answering, IdToken, Identities, NoIdentity, Provider};

/// How long before its end a token is renewed, or a fifth of a short life.
const MARGIN: Duration = Duration::from_mins(1);
/// For how long nobody else renews what one has begun to.
const LEASE: Duration = Duration::from_mins(1);
/// A sign-in so young that another one would change nothing.
const YOUNG: Duration = Duration::from_mins(1);
/// How often it is looked whether another process has finished.
const LOOK: Duration = Duration::from_millis(200);
const LOOKS: u32 = 150;

impl Identities for Login {
    fn id_token<'a>(
        &'a self,
        user: UserId,
        provider: &'a str,
        refused: Option<i64>,
    ) -> Answering<'a, IdToken> {
        Box::pin(self.current_id_token(user, provider, refused))
    }

    fn exchange_at<'a>(&'a self, provider: &'a str) -> Answering<'a, Provider> {
        Box::pin(async move {
            let issuer = self.issuer(provider).ok_or_else(|| no_such_provider(provider))?;
            let proof = self.proof(&issuer).await?;
            let client = GivenClient {
                id: proof.proof.id,
                secret: proof.proof.secret,
                key: None,
                method: Some(proof.proof.method),
            };
            Ok(Provider { token_endpoint: proof.token_endpoint, client })
        })
    }
}

/// The hub as a client of a provider.
struct AtProvider {
    token_endpoint: String,
    proof: Proof,
}

impl Login {
    async fn current_id_token(
        &self,
        user: UserId,
        provider: &str,
        refused: Option<i64>,
    ) -> Result<IdToken, NoIdentity> {
        self.check_is_person(user)?;
        let issuer = self.issuer(provider).ok_or_else(|| no_such_provider(provider))?;
        let turn = self.renewals.turn(user, provider);
        let mut unsaved = turn.lock().await;
        let mut is_new = false;
        for _ in 0..LOOKS {
            self.save_again(&mut unsaved).await?;
            let row = self.store.kept_identities().find(user, provider).await.map_err(no_database)?;
            let (row, kept) = self.usable(&issuer, user, row)?;
            let now = self.now();
            let is_refused = refused == Some(row.version);
            if is_new || (!is_refused && !is_due(&kept, now)) {
                return Ok(shown(&row, kept));
            }
            if kept.refresh_token.is_none() {
                if !is_refused && now < kept.expires_at {
                    return Ok(shown(&row, kept));
                }
                if is_refused && now.since(kept.obtained_at) < YOUNG {
                    let reason = "a sign-in that is new is refused by its provider; an operator has to look";
                    return Err(NoIdentity::Away(reason.to_owned()));
                }
                return Err(ended(&issuer, "cannot be renewed: the provider gave nothing to renew it with"));
            }
            let until = now.plus(LEASE);
            let leased = self.store.kept_identities().lease(&row, &self.renewals.holder, until, now).await;
            if leased.map_err(no_database)? {
                match Box::pin(self.renew(&issuer, &row, &kept, &mut unsaved)).await {
                    Ok(()) => {
                        is_new = true;
                        continue;
                    }
                    Err(NoIdentity::Away(_)) if !is_refused && now < kept.expires_at => {
                        return Ok(shown(&row, kept));
                    }
                    Err(error) => return Err(error),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(NoIdentity::Away("another process has been renewing the sign-in for too long".to_owned()))
    }

    /// Service accounts have keys and never sign in.
    fn check_is_person(&self, user: UserId) -> Result<(), NoIdentity> {
        match self.people.enabled(user) {
            Some(user) if user.kind == UserKind::Person => Ok(()),
            Some(_) => Err(NoIdentity::Nobody(
                "it is shown who calls, and a service account does not sign in: use a key of a person, or give the \
                 server a `subject_token`"
                    .to_owned(),
            )),
            None => Err(NoIdentity::Nobody("the user is disabled or no more".to_owned())),
        }
    }

    fn usable(
        &self,
        issuer: &Issuer,
        user: UserId,
        row: Option<KeptIdentity>,
    ) -> Result<(KeptIdentity, Kept), NoIdentity> {
        let row = row.ok_or_else(|| {
            NoIdentity::SignIn(format!(
                "it is shown who you are by your sign-in through {}",
                issuer.settings.shown()
            ))
        })?;
        let sealed = row.sealed.as_deref().ok_or_else(|| ended(issuer, "has ended"))?;
        let kept = self.open_kept(issuer, user, sealed).ok_or_else(|| ended(issuer, "is of another time"))?;
        Ok((row, kept))
    }

    /// Stores what this process alone holds. What a sign-in has replaced
    /// meanwhile, or somebody erased, is of no more use.
    async fn save_again(&self, unsaved: &mut Option<KeptIdentity>) -> Result<(), NoIdentity> {
        if let Some(kept) = unsaved.as_ref() {
            self.store.kept_identities().save(kept, &self.renewals.holder).await.map_err(no_database)?;
            *unsaved = None;
        }
        Ok(())
    }

    /// Renews under the lease, and stores what came.
    async fn renew(
        &self,
        issuer: &Issuer,
        row: &KeptIdentity,
        kept: &Kept,
        unsaved: &mut Option<KeptIdentity>,
    ) -> Result<(), NoIdentity> {
        let asked = self.ask_to_renew(issuer, kept).await;
        let (next, outcome) = match asked {
            Ok(granted) => self.renewed(issuer, kept, granted).await,
            Err(Refusal::Over(said)) => (None, Err(ended(issuer, &format!("is over ({said})")))),
            Err(Refusal::Away(reason)) => {
                // The lease ends by itself where this fails.
                let _ = self.store.kept_identities().release(row, &self.renewals.holder).await;
                return Err(NoIdentity::Away(reason));
            }
        };
        let sealed = next.map(|next| self.seal_kept(issuer, row.user, &next)).transpose();
        let sealed = sealed.map_err(|error| NoIdentity::Away(format!("it cannot be sealed: {error}")))?;
        let next = KeptIdentity { sealed, ..row.clone() };
        match self.store.kept_identities().save(&next, &self.renewals.holder).await {
            Ok(Saved::Done) => outcome,
            // Somebody signed in, or it was erased: what is there now counts.
            Ok(Saved::Superseded) => Ok(()),
            Err(error) => {
                *unsaved = Some(next);
                Err(no_database(error))
            }
        }
    }

    async fn ask_to_renew(&self, issuer: &Issuer, kept: &Kept) -> Result<Granted, Refusal> {
        let at = self.proof(issuer).await.map_err(|error| Refusal::Away(error.to_string()))?;
        let refresh_token = kept.refresh_token.as_ref().map_or("", |token| token.expose());
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let asked = token::ask(&self.outbound, &at.token_endpoint, &at.proof, &form, || self.now()).await;
        asked.map_err(|error| match error {
            TokenError::Ended { said } => Refusal::Over(said),
            TokenError::Client { .. } | TokenError::Refused { .. } | TokenError::Unavailable { .. } => {
                Refusal::Away(format!("your sign-in cannot be renewed now: {error}"))
            }
        })
    }

    /// What is kept from here on, and whether it can be shown. A refresh token
    /// that came replaces the old one in any case.
    async fn renewed(
        &self,
        issuer: &Issuer,
        before: &Kept,
        granted: Granted,
    ) -> (Option<Kept>, Result<(), NoIdentity>) {
        let refresh_token = granted.tokens.refresh_token.or_else(|| before.refresh_token.clone());
        let mut next = Kept { refresh_token, ..before.clone() };
        let Some(id_token) = granted.id_token else {
            next.refresh_token = None;
            let what = "cannot be renewed: the provider renews without an ID token";
            return (Some(next), Err(ended(issuer, what)));
        };
        let asked = Asked::Renewal(before.id_token.expose());
        match issuer.verify_id_token(&self.outbound, id_token.expose(), asked, self.now()).await {
            Ok(claims) => {
                next.expires_at = end_of(&claims).unwrap_or(granted.tokens.obtained_at);
                next.obtained_at = granted.tokens.obtained_at;
                next.id_token = id_token;
                (Some(next), Ok(()))
            }
            Err(error @ OidcError::Away(_)) => (Some(next), Err(NoIdentity::Away(error.to_string()))),
            Err(error) => {
                tracing::warn!(issuer = %issuer.settings.name, %error, "a renewed ID token was refused");
                (None, Err(ended(issuer, "was renewed with something that proves nothing")))
            }
        }
    }

    async fn proof(&self, issuer: &Issuer) -> Result<AtProvider, NoIdentity> {
        let metadata = issuer.metadata(&self.outbound, self.now()).await;
        let metadata = metadata.map_err(|error| NoIdentity::Away(error.to_string()))?;
        let settings = &issuer.settings;
        let method = match &settings.client_secret {
            Some(_) if metadata.takes_secret_in_body() => ClientAuthMethod::ClientSecretPost,
            Some(_) => ClientAuthMethod::ClientSecretBasic,
            None => ClientAuthMethod::None,
        };
        let (id, secret) = (settings.client_id.clone(), settings.client_secret.clone());
        Ok(AtProvider {
            token_endpoint: metadata.token_endpoint.to_string(),
            proof: Proof { id, secret, assertion: None, method },
        })
    }
}

/// Why nothing was renewed.
enum Refusal {
    Over(String),
    Away(String),
}

fn shown(row: &KeptIdentity, kept: Kept) -> IdToken {
    IdToken { token: kept.id_token, version: row.version }
}

fn is_due(kept: &Kept, now: Timestamp) -> bool {
    let life = kept.expires_at.since(kept.obtained_at);
    now.plus(MARGIN.min(life / 5)) >= kept.expires_at
}

fn ended(issuer: &Issuer, what: &str) -> NoIdentity {
    NoIdentity::SignIn(format!("your sign-in through {} {what}", issuer.settings.shown()))
}

fn no_such_provider(provider: &str) -> NoIdentity {
    NoIdentity::Away(format!("{provider} is no longer a sign-in provider of this hub"))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn no_database(error: StoreError) -> NoIdentity {
    NoIdentity::Away(format!("your sign-in cannot be looked up now: {error}"))
}
