//! The administrator's token: 256 random bits, shown once, of which only the SHA-256 is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_entity::admin_token;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{App, Error, Result};

/// There is one administrator.
const ID: i32 = 1;

/// What a token is compared with.
#[derive(Clone)]
pub struct Verifier(Vec<u8>);

impl Verifier {
    /// Whether this is the token. Takes the same time whatever is wrong with it.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        digest.ct_eq(&self.0[..]).into()
    }
}

/// The verifier of the token; where there is no token yet, one is made and handed out, for the
/// only time.
///
/// # Errors
/// The database's, and the system's where it has no random bits.
pub async fn obtain(app: &App) -> Result<(Verifier, Option<SecretString>)> {
    let transaction = app.begin().await?;
    if let Some(row) = admin_token::Entity::find_by_id(ID)
        .one(&transaction)
        .await?
    {
        return Ok((
            Verifier(hex::decode(&row.sha256).map_err(Error::internal)?),
            None,
        ));
    }
    let (token, row) = make(app)?;
    row.clone().into_active_model().insert(&transaction).await?;
    transaction.commit().await?;
    tracing::info!("admin token made");
    let digest = hex::decode(&row.sha256).map_err(Error::internal)?;
    Ok((Verifier(digest), Some(token)))
}

/// Replaces the token. An API that is running knows the new one when it is started again.
///
/// # Errors
/// As [`obtain`].
pub async fn replace(app: &App) -> Result<SecretString> {
    let transaction = app.begin().await?;
    let (token, row) = make(app)?;
    admin_token::Entity::delete_many()
        .exec(&transaction)
        .await?;
    row.into_active_model().insert(&transaction).await?;
    transaction.commit().await?;
    tracing::info!("admin token replaced");
    Ok(token)
}

fn make(app: &App) -> Result<(SecretString, admin_token::Model)> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|error| Error::internal(error.to_string()))?;
    let token = format!("millrace_{}", URL_SAFE_NO_PAD.encode(bits));
    let row = admin_token::Model {
        id: ID,
        sha256: hex::encode(Sha256::digest(token.as_bytes())),
        created_at: app.now(),
    };
    Ok((token.into(), row))
}
