//! The schemas of the idle policy's terms, as they are shown and as they may be said. A match names each term: a new one
//! gets its schema here.

use model::{IdlePolicy, Term};
use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, Schema,
};
use utoipa::openapi::{RefOr, Type};

/// A century: the longest that a duration may be.
const LONGEST: u64 = 100 * 366 * 24 * 3600;
const V4: &str = r"((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(/(3[0-2]|[12]?[0-9]))?";

/// Neither commas nor control characters, and not only blanks.
const PATTERN: &str = r"^[^,\x00-\x1f\x7f-\x9f]*[^,\s\x00-\x1f\x7f-\x9f][^,\x00-\x1f\x7f-\x9f]*$";

/// Of a URL, beginning with its path.
const PATH: &str = r"/[A-Za-z0-9._~%!$&'()*+,;=:@/?-]{0,255}";

/// The whole of it, as it is shown.
pub(crate) fn shown() -> RefOr<Schema> {
    let about = "The idle policy. Durations are whole seconds where they can be; `off` is a text";
    let mut whole = ObjectBuilder::new().description(Some(about));
    for term in Term::ALL {
        whole = whole.property(term.name(), of_shown(*term)).required(term.name());
    }
    whole.into()
}

/// Any of it, as it is said.
pub(crate) fn asked() -> RefOr<Schema> {
    let about = "What is to be said of the idle policy. `null` takes a term back to what the image or the settings say";
    let mut any = ObjectBuilder::new().description(Some(about));
    for term in Term::ALL {
        any = any.property(term.name(), of_asked(*term));
    }
    let example = json!({"freeze_after": "5m", "activity": "traffic", "expires_after": "7d"});
    any.additional_properties(Some(AdditionalProperties::FreeForm(false))).examples([example]).into()
}

/// One of it in a form, where every value is a text, and an empty one takes it back.
pub(crate) fn asked_in_a_form(term: Term) -> Object {
    let pattern = match of_text(term) {
        Some(pattern) => format!("^({pattern})?$"),
        None => r"^[^\x00-\x1f\x7f-\x9f]*$".to_owned(),
    };
    let about = format!("{} Takes {}; nothing takes it back", term.help(), term.takes());
    let text = text().pattern(Some(pattern)).description(Some(about));
    if term.is_list() { text.max_length(Some(256)).build() } else { text.build() }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn of_type(of: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(of)
}

/// The texts that a term takes, as a pattern: the usual ones, where it takes more. None for patterns, which may be any text.
fn of_text(term: Term) -> Option<String> {
    const DURATION: &str = "[1-9][0-9]{0,3} ?[smhd]?";
    Some(match term {
        Term::InitialTimeoutInterval | Term::TimeoutInterval | Term::OwedFor | Term::WakeTimeout => {
            DURATION.to_owned()
        }
        Term::FreezeAfter | Term::CheckInTtl | Term::ExpiresAfter | Term::DeleteAfterIdle => {
            format!("{DURATION}|off")
        }
        Term::DisableTimeouts
        | Term::StopWithConnections
        | Term::Breathe
        | Term::Restart
        | Term::Reclaim
        | Term::ProxyProtocol => "true|false|yes|no|on|off|1|0".to_owned(),
        Term::Activity => "traffic|check-in|any".to_owned(),
        Term::Wake => "connect|first-byte|api".to_owned(),
        Term::BusyCpu => r"0\.(00[1-9]|0[1-9]|[1-9])|[1-9][0-9]{0,2}|off".to_owned(),
        Term::QuietBelow => "0|[0-9]{1,6}(B|kB|KiB|MB|MiB)/(s|min|h)".to_owned(),
        Term::ReadyPath => format!("{PATH}|off"),
        Term::WakeFrom | Term::IgnoreFrom => format!("({V4}(,{V4})*)?"),
        Term::IgnorePaths | Term::IgnoreAgents => return None,
    })
}

/// The numbers, truths and lists that a term takes beside texts.
fn beside_texts(term: Term) -> Option<Schema> {
    Some(match term {
        Term::InitialTimeoutInterval
        | Term::TimeoutInterval
        | Term::OwedFor
        | Term::WakeTimeout
        | Term::FreezeAfter
        | Term::CheckInTtl
        | Term::ExpiresAfter
        | Term::DeleteAfterIdle => of_type(Type::Integer).minimum(Some(1)).maximum(Some(LONGEST)).into(),
        Term::DisableTimeouts
        | Term::StopWithConnections
        | Term::Breathe
        | Term::Restart
        | Term::Reclaim
        | Term::ProxyProtocol => of_type(Type::Boolean).into(),
        Term::BusyCpu => of_type(Type::Number).minimum(Some(0.001)).maximum(Some(1000)).into(),
        Term::QuietBelow => of_type(Type::Integer).enum_values(Some([0])).into(),
        Term::WakeFrom | Term::IgnoreFrom => {
            let v4 = text().pattern(Some(format!("^{V4}$")));
            let v6 = text().format(Some(utoipa::openapi::SchemaFormat::Custom("ipv6".into())));
            ArrayBuilder::new().items(AnyOfBuilder::new().item(v4).item(v6)).into()
        }
        Term::IgnorePaths | Term::IgnoreAgents => {
            let pattern = text().pattern(Some(PATTERN)).max_length(Some(256));
            ArrayBuilder::new().items(pattern).into()
        }
        Term::Activity | Term::Wake | Term::ReadyPath => return None,
    })
}

fn of_asked(term: Term) -> Schema {
    let texts = match of_text(term) {
        Some(pattern) => text().pattern(Some(format!("^({pattern})$"))),
        None => text().pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]*$")).max_length(Some(256)),
    };
    let about = format!("{} Takes {}", term.help(), term.takes());
    let mut any = AnyOfBuilder::new().description(Some(about));
    any = beside_texts(term).into_iter().fold(any, AnyOfBuilder::item);
    any.item(texts).item(of_type(Type::Null)).into()
}

fn of_shown(term: Term) -> Schema {
    let example: Value = json!(crate::PolicyBody::from(&IdlePolicy::DEFAULT))[term.name()].clone();
    let words = |pattern: &str| text().pattern(Some(format!("^({pattern})$")));
    let any = AnyOfBuilder::new().description(Some(term.help())).examples([example]);
    let any = match term {
        Term::QuietBelow => any.item(words("[0-9]+B/min")),
        Term::Activity | Term::Wake | Term::ReadyPath => any.item(words(&of_text(term).unwrap_or_default())),
        term if term.is_list() => any.item(ArrayBuilder::new().items(text())),
        term => beside_texts(term).into_iter().fold(any, AnyOfBuilder::item),
    };
    match term {
        Term::InitialTimeoutInterval | Term::TimeoutInterval | Term::OwedFor | Term::WakeTimeout => {
            any.item(words("[0-9]+ms"))
        }
        Term::FreezeAfter | Term::CheckInTtl | Term::ExpiresAfter | Term::DeleteAfterIdle => {
            any.item(words("[0-9]+ms|off"))
        }
        Term::BusyCpu => any.item(words("off")),
        _ => any,
    }
    .into()
}
