//! Who may change how the broker works.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use glint::{Refusal, RefusalKind};
use subtle::ConstantTimeEq as _;

use super::desk::Desk;

/// Lets requests of administrators pass: those with the token of the settings, and those of this machine where the
/// settings open it to them.
///
/// # Errors
/// `admin_closed` where no token is set, `admin_token` where it is missing or another.
pub fn admin(request: &HttpRequest, desk: &Desk) -> Result<(), Refusal> {
    let admin = &desk.admin;
    let from_here = request
        .peer_addr()
        .is_some_and(|peer| peer.ip().is_loopback());
    if admin.open_on_loopback && from_here {
        return Ok(());
    }
    let Some(token) = admin.token.expose() else {
        let detail = "administration is closed: set admin.token, or admin.open_on_loopback";
        return Err(Refusal::new(RefusalKind::Forbidden, "admin_closed", detail));
    };
    let given = request.headers().get(AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // Of all comparisons only the lengths may be told from the time that they take.
    if given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes()))) {
        return Ok(());
    }
    let detail = "send the token of the settings as `Authorization: Bearer TOKEN`";
    let refusal = Refusal::new(RefusalKind::Unauthorised, "admin_token", detail);
    Err(refusal.on("Authorization"))
}
