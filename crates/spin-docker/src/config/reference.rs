//! `docs/settings.md`, made from the table.

use super::table::{Setting, TABLE};
use model::Term;

const PREFACE: &str = "\
# Settings

<!-- Made by `spin-docker settings-reference` from crates/spin-docker/src/config/table.rs. A test fails where it is stale. -->

Settings come from flags, from the environment, from one TOML file and from defaults; the earlier of these wins. A setting `a_b` is
`a_b` in the file, `SPIN_DOCKER_A_B` in the environment and `--a-b` on `spin-docker serve`. The file is the one that `--config`
names, else the one that `SPIN_DOCKER_CONFIG` names, else `/etc/spin-docker/config.toml` if it is there.

On `SIGHUP` the daemon reads them again. What is marked *at once* applies then and there, and each container's next look moves with it; of
anything else that changed, the log names the old value and the new one, and that it takes a restart. Settings with a mistake are refused
whole: the log says every mistake, and the old settings stay in force.

`spin-docker config check` says `ok` or every mistake at once; `spin-docker config show` prints what is in effect and where it
comes from. A name that is not known is a mistake, in the file as in the environment.

Durations are seconds, or such as `2h`, `30m`, `1h30m`, `7d`. Booleans may be spelt `true`, `yes`, `on`, `1` and `false`, `no`, `off`, `0`, in small letters
or capitals. Lists are lists in the file, and have commas between their members elsewhere.

What stands under *The idle policy* is what containers live under where nobody says otherwise: an image may, by its labels, and whoever owns
the container. [The idle policy](policy.md) says how, and what each term is for.

`password`, `environment`, `disable_timeouts`, `initial_timeout_interval` and `timeout_interval` may be written with the prefix
`sd_`, as in 2014. The environment variables of the 2014 program, `ENVIRONMENT`, `DISABLE_TIMEOUTS`, `INITIAL_TIMEOUT_INTERVAL` and
`TIMEOUT_INTERVAL`, are understood where the one with `SPIN_DOCKER_` before it is not set. The 2014 program took any
`DISABLE_TIMEOUTS` that is not empty for true; this one reads what it says.
";

/// The whole page.
pub(crate) fn reference() -> String {
    let mut page = PREFACE.to_owned();
    let mut group = "";
    for setting in TABLE {
        if group != setting.group {
            page += &format!("\n## {}\n\n| setting | default | |\n| --- | --- | --- |\n", setting.group);
            group = setting.group;
        }
        page += &row(setting);
    }
    page
}

/// The default of a term of the idle policy, in words.
pub(crate) fn default_of(term: Term) -> String {
    Setting::known_as(term.name()).map(Setting::default_in_words).unwrap_or_default()
}

fn row(setting: &Setting) -> String {
    let (name, default) = (setting.name, setting.default_in_words());
    let at_once = if setting.applies_at_once() { " *At once.*" } else { "" };
    format!("| `{name}` | {default} | {} Takes {}.{at_once} |\n", setting.help(), setting.takes)
}
