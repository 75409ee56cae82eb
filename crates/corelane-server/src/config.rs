//! The settings of the runtime: one closed table, from which flags, environment variables, TOML
//! keys, help texts and the reference page derive.
//!
//! A setting has the same name everywhere: `--batch-rows`, `CORELANE_BATCH_ROWS`, and `batch-rows`
//! under `[runtime]` or `[core.3]`. A flag wins over the environment, the environment over the
//! file, the file over the default. Whatever the table does not know is an error, never ignored.
//! Nothing here reads the environment or a file: whoever starts the program hands them in.

use std::collections::BTreeMap;
use std::fmt;

use corelane_runtime::{CoreOverrides, CoreSet, RuntimeConfig};
use corelane_stream::limits::{BATCH_ROWS_MAX, RING_SLOTS_MAX, WORKERS_MAX};
use corelane_stream::{Error, Result};

/// What a setting's text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    Integer {
        min: u64,
        max: u64,
    },
    /// `512MiB`, `4G`, `1048576`.
    Bytes,
    Choice(&'static [&'static str]),
    Flag,
    /// `0-3,6`.
    Cpus,
}

impl SettingKind {
    /// What stands for the value in help texts.
    pub fn placeholder(self) -> &'static str {
        match self {
            SettingKind::Integer { .. } => "N",
            SettingKind::Bytes => "BYTES",
            SettingKind::Choice(_) => "CHOICE",
            SettingKind::Flag => "BOOL",
            SettingKind::Cpus => "CPUS",
        }
    }

    /// The accepted values, in words.
    pub fn accepts(self) -> String {
        match self {
            SettingKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            SettingKind::Bytes => "bytes, such as 512MiB or 4GiB".into(),
            SettingKind::Choice(choices) => choices.join(", "),
            SettingKind::Flag => "true, false".into(),
            SettingKind::Cpus => "CPU numbers, such as 0-3,6".into(),
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: SettingKind,
    /// The default's text; `None`: it follows from the machine, as `help` says.
    pub default: Option<&'static str>,
    /// True if `[core.N]` may override it for one CPU.
    pub per_core: bool,
    /// One sentence or two, without the full stop at the end.
    pub help: &'static str,
}

impl Setting {
    pub fn environment_name(&self) -> String {
        environment_name(self.key)
    }
}

const SECOND_US: u64 = 1_000_000;

/// Every setting of the runtime.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "cores",
        kind: SettingKind::Cpus,
        default: None,
        per_core: false,
        help: "CPUs to pin workers to, as a list of numbers and ranges; by default the first thread of each physical core that the process may use",
    },
    Setting {
        key: "workers",
        kind: SettingKind::Integer { min: 1, max: WORKERS_MAX as u64 },
        default: None,
        per_core: false,
        help: "Workers to run; by default one for each of the cores. More workers than cores share them in turn",
    },
    Setting {
        key: "no-pin",
        kind: SettingKind::Flag,
        default: Some("false"),
        per_core: false,
        help: "Leave it to the kernel where workers run",
    },
    Setting {
        key: "overprovisioned",
        kind: SettingKind::Flag,
        default: Some("false"),
        per_core: false,
        help: "Share the machine with others: neither pin nor spin",
    },
    Setting {
        key: "idle",
        kind: SettingKind::Choice(&["spin", "adaptive", "park"]),
        default: Some("adaptive"),
        per_core: true,
        help: "What a worker without work does: spin for ever, spin for a while and then sleep, or sleep at once",
    },
    Setting {
        key: "spin-us",
        kind: SettingKind::Integer { min: 0, max: SECOND_US },
        default: None,
        per_core: true,
        help: "Microseconds an idle worker spins before it sleeps; by default 50, and 0 when workers outnumber CPUs",
    },
    Setting {
        key: "batch-rows",
        kind: SettingKind::Integer { min: 1, max: BATCH_ROWS_MAX as u64 },
        default: Some("8192"),
        per_core: true,
        help: "Rows a source reads into one batch",
    },
    Setting {
        key: "ring-slots",
        kind: SettingKind::Integer { min: 1, max: RING_SLOTS_MAX as u64 },
        default: Some("4"),
        per_core: true,
        help: "Batches a ring between two workers holds before its producer must wait",
    },
    Setting {
        key: "linger-us",
        kind: SettingKind::Integer { min: 0, max: 60 * SECOND_US },
        default: Some("1000"),
        per_core: true,
        help: "Microseconds a part-filled exchange buffer may wait for more rows under load",
    },
    Setting {
        key: "memory",
        kind: SettingKind::Bytes,
        default: None,
        per_core: false,
        help: "Memory that the state of all workers together may take, in equal shares; a job that needs more fails. By default what the machine has",
    },
    Setting {
        key: "reserve-memory",
        kind: SettingKind::Bytes,
        default: Some("0"),
        per_core: false,
        help: "Memory of the above that is left to others on the machine",
    },
    Setting {
        key: "task-quota-us",
        kind: SettingKind::Integer { min: 1, max: SECOND_US },
        default: Some("500"),
        per_core: true,
        help: "Microseconds one task may run before the worker looks at the others",
    },
    Setting {
        key: "stall-notify-ms",
        kind: SettingKind::Integer { min: 1, max: 3_600_000 },
        default: Some("500"),
        per_core: false,
        help: "Report a task that holds its worker for longer than this many milliseconds",
    },
    Setting {
        key: "driver",
        kind: SettingKind::Choice(&["auto", "glommio", "threads"]),
        default: Some("auto"),
        per_core: false,
        help: "What runs the workers: glommio needs io_uring, threads run everywhere; auto takes glommio where it can",
    },
];

/// The variable that names the settings file.
pub const CONFIG_ENVIRONMENT: &str = "CORELANE_CONFIG";

const ENVIRONMENT_PREFIX: &str = "CORELANE_";

/// True for a variable that Kubernetes puts into every container beside a service of our name:
/// `CORELANE_SERVICE_HOST`, `CORELANE_WEB_PORT_80_TCP_ADDR`.
fn tells_of_service(name: &str) -> bool {
    let after_port = name.split_once("_PORT").map(|(_, rest)| rest);
    let of_protocol = |rest: &str| ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| rest.contains(protocol));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || after_port.is_some_and(|rest| rest.is_empty() || of_protocol(rest))
}

fn environment_name(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.to_uppercase().replace('-', "_"))
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// The file and the table in it.
    File {
        path: String,
        table: String,
    },
    Environment(String),
    Flag,
}

impl Origin {
    /// What the user wrote there, for messages.
    fn name_of(&self, key: &str) -> String {
        match self {
            Origin::Default => key.to_string(),
            Origin::File { path, table } => format!("{key} of [{table}] in {path}"),
            Origin::Environment(name) => name.clone(),
            Origin::Flag => format!("--{key}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => out.write_str("default"),
            Origin::File { path, table } => write!(out, "{path} [{table}]"),
            Origin::Environment(name) => out.write_str(name),
            Origin::Flag => out.write_str("flag"),
        }
    }
}

/// A checked value. `Auto` is a default that follows from the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Auto,
    Number(u64),
    Choice(&'static str),
    Flag(bool),
    Cpus(CoreSet),
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Auto => out.write_str("auto"),
            Value::Number(number) => number.fmt(out),
            Value::Choice(choice) => out.write_str(choice),
            Value::Flag(flag) => flag.fmt(out),
            Value::Cpus(cpus) => cpus.fmt(out),
        }
    }
}

/// What the user said, in the words he used, from each place.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Settings given as flags.
    pub flags: Vec<(String, String)>,
    /// The environment; names that do not begin with `CORELANE_` are passed over.
    pub environment: Vec<(String, String)>,
    /// The settings file: its path and its text.
    pub file: Option<(String, String)>,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub value: Value,
    pub origin: Origin,
}

/// All settings with their values.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, Chosen>,
    cores: BTreeMap<usize, BTreeMap<&'static str, Chosen>>,
}

impl Settings {
    /// Lays flags over environment over file over defaults.
    ///
    /// # Errors
    /// `ErrorKind::Invalid` naming the place, the value and what was expected, or an unknown name
    /// with the known one nearest to it.
    pub fn resolve(sources: &Sources) -> Result<Settings> {
        let mut settings = Settings::defaults();
        if let Some((path, text)) = &sources.file {
            settings.add_file(path, text)?;
        }
        for (name, text) in &sources.environment {
            settings.add_environment(name, text)?;
        }
        for (key, text) in &sources.flags {
            let setting = find(key).ok_or_else(|| unknown("flag", key, SETTINGS.iter().map(|known| known.key)))?;
            settings.values.insert(setting.key, checked(setting, text, Origin::Flag)?);
        }
        Ok(settings)
    }

    fn defaults() -> Settings {
        let chosen = |setting: &Setting| {
            let value = match setting.default {
                Some(text) => parse(setting.kind, text).expect("defaults of the table are valid"),
                None => Value::Auto,
            };
            (setting.key, Chosen { value, origin: Origin::Default })
        };
        Settings { values: SETTINGS.iter().map(chosen).collect(), cores: BTreeMap::new() }
    }

    fn add_environment(&mut self, name: &str, text: &str) -> Result<()> {
        if !name.starts_with(ENVIRONMENT_PREFIX) || name == CONFIG_ENVIRONMENT {
            return Ok(());
        }
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.environment_name() == name) {
            self.values.insert(setting.key, checked(setting, text, Origin::Environment(name.to_string()))?);
            return Ok(());
        }
        if tells_of_service(name) {
            return Ok(());
        }
        let key = name[ENVIRONMENT_PREFIX.len()..].to_lowercase().replace('_', "-");
        let known = SETTINGS.iter().map(|setting| setting.key).chain(["config"]);
        let hint = match nearest(&key, known.clone()) {
            Some(key) => format!("did you mean {}?", environment_name(key)),
            None => format!("known are {}", known.map(environment_name).collect::<Vec<_>>().join(", ")),
        };
        Err(Error::invalid(format!("unknown environment variable {name:?}")).with_hint(hint))
    }

    fn add_file(&mut self, path: &str, text: &str) -> Result<()> {
        let tables: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            Error::invalid(format!("cannot read the settings in {path}, line {line}: {}", error.message().trim()))
        })?;
        for (name, entry) in &tables {
            match (name.as_str(), entry) {
                ("runtime", toml::Value::Table(entries)) => {
                    for (key, value) in entries {
                        let chosen = file_value(path, "runtime", key, value, |_| true)?;
                        self.values.insert(chosen.0, chosen.1);
                    }
                }
                ("core", toml::Value::Table(cores)) => self.add_core_tables(path, cores)?,
                ("runtime" | "core", _) => {
                    return Err(Error::invalid(format!("{name} in {path} is not a table"))
                        .with_hint("write [runtime] for all workers and [core.3] for the one on CPU 3"));
                }
                (key, _) if find(key).is_some() => {
                    return Err(
                        Error::invalid(format!("{key} in {path} is in no table")).with_hint("put it under [runtime]")
                    );
                }
                _ => return Err(unknown("table", name, ["runtime", "core"].into_iter()).place(path)),
            }
        }
        Ok(())
    }

    fn add_core_tables(&mut self, path: &str, cores: &toml::Table) -> Result<()> {
        for (number, entry) in cores {
            let (Ok(cpu), toml::Value::Table(entries)) = (number.parse::<usize>(), entry) else {
                return Err(Error::invalid(format!("[core.{number}] in {path} does not name a CPU"))
                    .with_hint("write a CPU's number, such as [core.3]"));
            };
            let table = format!("core.{cpu}");
            let overrides = self.cores.entry(cpu).or_default();
            for (key, value) in entries {
                let chosen = file_value(path, &table, key, value, |setting| setting.per_core)?;
                overrides.insert(chosen.0, chosen.1);
            }
        }
        Ok(())
    }

    /// Every setting, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Setting, &Chosen)> {
        SETTINGS.iter().map(|setting| (setting, self.chosen(setting.key)))
    }

    /// What `[core.N]` overrides: CPU, setting and value.
    pub fn core_overrides(&self) -> impl Iterator<Item = (usize, &'static str, &Chosen)> {
        self.cores.iter().flat_map(|(cpu, values)| values.iter().map(|(key, chosen)| (*cpu, *key, chosen)))
    }

    fn chosen(&self, key: &str) -> &Chosen {
        self.values.get(key).expect("every setting of the table has a value")
    }

    /// The value of a setting of the table.
    pub fn value(&self, key: &str) -> &Value {
        &self.chosen(key).value
    }

    /// The same, as the runtime takes it.
    ///
    /// # Errors
    /// If values do not go together, such as a reserve that leaves nothing.
    pub fn runtime(&self) -> Result<RuntimeConfig> {
        let defaults = RuntimeConfig::default();
        let size = |key| self.number(key).map(|number| number as usize);
        let config = RuntimeConfig {
            workers: size("workers"),
            cores: match self.value("cores") {
                Value::Cpus(cores) => Some(cores.clone()),
                Value::Auto | Value::Number(_) | Value::Choice(_) | Value::Flag(_) => None,
            },
            pin: !self.flag("no-pin"),
            overprovisioned: self.flag("overprovisioned"),
            idle: self.value("idle").to_string().parse()?,
            spin_us: self.number("spin-us"),
            batch_rows: size("batch-rows").unwrap_or(defaults.batch_rows),
            ring_slots: size("ring-slots").unwrap_or(defaults.ring_slots),
            linger_us: self.number("linger-us").unwrap_or(defaults.linger_us),
            memory: self.number("memory"),
            reserve_memory: self.number("reserve-memory").unwrap_or(defaults.reserve_memory),
            task_quota_us: self.number("task-quota-us").unwrap_or(defaults.task_quota_us),
            stall_notify_ms: self.number("stall-notify-ms").unwrap_or(defaults.stall_notify_ms),
            driver: self.value("driver").to_string().parse()?,
            per_core: self.cores.iter().map(|(cpu, values)| Ok((*cpu, overrides(values)?))).collect::<Result<_>>()?,
        };
        config.check()?;
        Ok(config)
    }

    fn number(&self, key: &str) -> Option<u64> {
        number(self.value(key))
    }

    fn flag(&self, key: &str) -> bool {
        *self.value(key) == Value::Flag(true)
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Auto | Value::Choice(_) | Value::Flag(_) | Value::Cpus(_) => None,
    }
}

/// What `[core.N]` says, as the runtime takes it.
fn overrides(values: &BTreeMap<&'static str, Chosen>) -> Result<CoreOverrides> {
    let given = |key| values.get(key).map(|chosen| &chosen.value);
    let amount = |key| given(key).and_then(number);
    let size = |key| amount(key).map(|number| number as usize);
    Ok(CoreOverrides {
        idle: given("idle").map(|value| value.to_string().parse()).transpose()?,
        spin_us: amount("spin-us"),
        batch_rows: size("batch-rows"),
        ring_slots: size("ring-slots"),
        linger_us: amount("linger-us"),
        task_quota_us: amount("task-quota-us"),
    })
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn file_value(
    path: &str,
    table: &str,
    key: &str,
    value: &toml::Value,
    allowed: fn(&Setting) -> bool,
) -> Result<(&'static str, Chosen)> {
    let Some(setting) = find(key).filter(|setting| allowed(setting)) else {
        let known = SETTINGS.iter().filter(|setting| allowed(setting)).map(|setting| setting.key);
        return Err(match find(key) {
            Some(_) => Error::invalid(format!("{key} of [{table}] in {path} cannot differ from core to core"))
                .with_hint("put it under [runtime]"),
            None => unknown("setting", key, known).place(path),
        });
    };
    let origin = Origin::File { path: path.to_string(), table: table.to_string() };
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Array(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => value.to_string(),
    };
    Ok((setting.key, checked(setting, &text, origin)?))
}

fn checked(setting: &Setting, text: &str, origin: Origin) -> Result<Chosen> {
    match parse(setting.kind, text) {
        Ok(value) => Ok(Chosen { value, origin }),
        Err(reason) => Err(Error::invalid(format!("{} {text:?} {reason}", origin.name_of(setting.key)))
            .with_hint(format!("{} takes {}", setting.key, setting.kind.accepts()))),
    }
}

fn parse(kind: SettingKind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    match kind {
        SettingKind::Integer { min, max } => {
            let number: u64 = text.replace('_', "").parse().map_err(|_| "is not a whole number".to_string())?;
            if number < min {
                return Err(format!("is less than {min}"));
            }
            if max < number {
                return Err(format!("is more than {max}"));
            }
            Ok(Value::Number(number))
        }
        SettingKind::Bytes => bytes(text).map(Value::Number).ok_or_else(|| "is not a number of bytes".into()),
        SettingKind::Choice(choices) => match choices.iter().find(|choice| **choice == text) {
            Some(choice) => Ok(Value::Choice(choice)),
            None => Err(match nearest(text, choices.iter().copied()) {
                Some(choice) => format!("is no choice, did you mean {choice}?"),
                None => "is no choice".into(),
            }),
        },
        SettingKind::Flag => match text {
            "true" | "1" | "yes" | "on" => Ok(Value::Flag(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Flag(false)),
            _ => Err("is neither true nor false".into()),
        },
        SettingKind::Cpus => text.parse().map(Value::Cpus).map_err(|error: Error| {
            // The reason alone: the place and the text are named by whoever reports it.
            let message = error.message();
            message.strip_prefix(&format!("--cores {text:?} ")).unwrap_or(message).to_string()
        }),
    }
}

/// Reads `4096`, `64k`, `512MiB`, `4G`; units are powers of 1,024.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '_').unwrap_or(text.len());
    let number: u64 = text[..digits].replace('_', "").parse().ok()?;
    let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// An unknown name, on its way to an error.
struct Unknown {
    what: &'static str,
    name: String,
    nearest: Option<String>,
    known: String,
}

impl Unknown {
    fn place(self, path: &str) -> Error {
        let message = format!("unknown {} {:?} in {path}", self.what, self.name);
        self.error(message)
    }

    fn error(&self, message: String) -> Error {
        Error::invalid(message).with_hint(match &self.nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => format!("known are {}", self.known),
        })
    }
}

impl From<Unknown> for Error {
    fn from(unknown: Unknown) -> Error {
        let message = format!("unknown {} {:?}", unknown.what, unknown.name);
        unknown.error(message)
    }
}

fn unknown<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Unknown {
    Unknown {
        what,
        name: name.to_string(),
        nearest: nearest(name, known.clone()).map(str::to_string),
        known: known.collect::<Vec<_>>().join(", "),
    }
}

/// The known name that the user may have meant: at most a third of it differs.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn pairs(texts: &[&str]) -> Vec<(String, String)> {
        texts
            .iter()
            .map(|text| {
                let (name, value) = text.split_once('=').expect("tests write name=value");
                (name.to_string(), value.to_string())
            })
            .collect()
    }

    /// Lines that start with a capital are environment, with `--` flags, the rest is the file.
    fn check(input: &str, expected: Expect) {
        let mut sources = Sources::default();
        let mut file = String::new();
        for line in input.lines().map(str::trim) {
            if let Some(flag) = line.strip_prefix("--") {
                sources.flags.extend(pairs(&[flag]));
            } else if line.starts_with("CORELANE") {
                sources.environment.extend(pairs(&[line]));
            } else {
                file.push_str(line);
                file.push('\n');
            }
        }
        sources.file = Some(("lane.toml".into(), file));
        let text = match Settings::resolve(&sources) {
            Ok(settings) => {
                let changed = settings
                    .iter()
                    .filter(|(_, chosen)| chosen.origin != Origin::Default)
                    .map(|(setting, chosen)| format!("{} = {} ({})\n", setting.key, chosen.value, chosen.origin));
                let cores = settings
                    .core_overrides()
                    .map(|(cpu, key, chosen)| format!("core {cpu}: {key} = {} ({})\n", chosen.value, chosen.origin));
                changed.chain(cores).collect()
            }
            Err(error) => format!("{error}\nhint: {}\n", error.hint().unwrap_or("none")),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn flag_wins_over_environment_over_file_over_default() {
        check(
            "[runtime]
             batch-rows = 1000
             ring-slots = 8
             spin-us = 10
             CORELANE_RING_SLOTS=16
             CORELANE_SPIN_US=20
             --spin-us=30",
            expect![[r#"
                spin-us = 30 (flag)
                batch-rows = 1000 (lane.toml [runtime])
                ring-slots = 16 (CORELANE_RING_SLOTS)
            "#]],
        );
    }

    #[test]
    fn every_kind_of_value() {
        check(
            "[runtime]
             cores = \"6, 0-3\"
             no-pin = true
             memory = \"2GiB\"
             idle = \"spin\"
             CORELANE_RESERVE_MEMORY=64k
             CORELANE_OVERPROVISIONED=1",
            expect![[r#"
                cores = 0-3,6 (lane.toml [runtime])
                no-pin = true (lane.toml [runtime])
                overprovisioned = true (CORELANE_OVERPROVISIONED)
                idle = spin (lane.toml [runtime])
                memory = 2147483648 (lane.toml [runtime])
                reserve-memory = 65536 (CORELANE_RESERVE_MEMORY)
            "#]],
        );
        check(
            "[runtime]
             cores = [1, 2, 5]",
            expect![[r#"
                cores = 1-2,5 (lane.toml [runtime])
            "#]],
        );
    }

    #[test]
    fn one_core_differs() {
        check(
            "[core.3]
             idle = \"park\"
             [core.0]
             spin-us = 0",
            expect![[r#"
                core 0: spin-us = 0 (lane.toml [core.0])
                core 3: idle = park (lane.toml [core.3])
            "#]],
        );
        check(
            "[core.3]
             workers = 2",
            expect![[r#"
                workers of [core.3] in lane.toml cannot differ from core to core
                hint: put it under [runtime]
            "#]],
        );
        check(
            "[core.three]
             idle = \"park\"",
            expect![[r#"
                [core.three] in lane.toml does not name a CPU
                hint: write a CPU's number, such as [core.3]
            "#]],
        );
    }

    #[test]
    fn unknown_names_are_errors() {
        check(
            "[runtime]
             batch_rows = 1",
            expect![[r#"
                unknown setting "batch_rows" in lane.toml
                hint: did you mean batch-rows?
            "#]],
        );
        check(
            "[runtmie]
             batch-rows = 1",
            expect![[r#"
                unknown table "runtmie" in lane.toml
                hint: did you mean runtime?
            "#]],
        );
        check(
            "batch-rows = 1",
            expect![[r#"
                batch-rows in lane.toml is in no table
                hint: put it under [runtime]
            "#]],
        );
        check(
            "CORELANE_BATCH_ROW=1",
            expect![[r#"
                unknown environment variable "CORELANE_BATCH_ROW"
                hint: did you mean CORELANE_BATCH_ROWS?
            "#]],
        );
        check(
            "CORELANE_FOO=1",
            expect![[r#"
                unknown environment variable "CORELANE_FOO"
                hint: known are CORELANE_CORES, CORELANE_WORKERS, CORELANE_NO_PIN, CORELANE_OVERPROVISIONED, CORELANE_IDLE, CORELANE_SPIN_US, CORELANE_BATCH_ROWS, CORELANE_RING_SLOTS, CORELANE_LINGER_US, CORELANE_MEMORY, CORELANE_RESERVE_MEMORY, CORELANE_TASK_QUOTA_US, CORELANE_STALL_NOTIFY_MS, CORELANE_DRIVER, CORELANE_CONFIG
            "#]],
        );
        check(
            "CORELANE_CONFG=lane.toml",
            expect![[r#"
                unknown environment variable "CORELANE_CONFG"
                hint: did you mean CORELANE_CONFIG?
            "#]],
        );
        let services = [
            "CORELANE_SERVICE_HOST=10.0.0.1",
            "CORELANE_SERVICE_PORT_HTTP=80",
            "CORELANE_PORT=tcp://10.0.0.1:80",
            "CORELANE_WEB_PORT_80_TCP_ADDR=10.0.0.1",
        ];
        for variable in services {
            check(variable, expect![""]);
        }
    }

    #[test]
    fn wrong_values_are_errors() {
        check(
            "--batch-rows=99999999",
            expect![[r#"
                --batch-rows "99999999" is more than 65536
                hint: batch-rows takes a whole number from 1 to 65536
            "#]],
        );
        check(
            "CORELANE_WORKERS=0",
            expect![[r#"
                CORELANE_WORKERS "0" is less than 1
                hint: workers takes a whole number from 1 to 256
            "#]],
        );
        check(
            "--cores=3-1",
            expect![[r#"
                --cores "3-1" has the range 3-1, which runs backwards
                hint: cores takes CPU numbers, such as 0-3,6
            "#]],
        );
        check(
            "--idle=adaptiv",
            expect![[r#"
                --idle "adaptiv" is no choice, did you mean adaptive?
                hint: idle takes spin, adaptive, park
            "#]],
        );
        check(
            "--memory=12 parsecs",
            expect![[r#"
                --memory "12 parsecs" is not a number of bytes
                hint: memory takes bytes, such as 512MiB or 4GiB
            "#]],
        );
        check(
            "[runtime]
             batch-rows = = 3",
            expect![[r#"
                cannot read the settings in lane.toml, line 2: extra `=`, expected nothing
                hint: none
            "#]],
        );
    }

    #[test]
    fn the_defaults_are_the_runtimes_own() {
        let settings = Settings::resolve(&Sources::default()).unwrap();
        assert_eq!(format!("{:?}", settings.runtime().unwrap()), format!("{:?}", RuntimeConfig::default()));
    }

    #[test]
    fn every_per_core_setting_reaches_the_runtime() {
        let settings: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.per_core).collect();
        let lines = settings.iter().map(|setting| match setting.kind {
            SettingKind::Choice(choices) => format!("{} = {:?}\n", setting.key, choices[0]),
            _ => format!("{} = 7\n", setting.key),
        });
        let file = Some(("lane.toml".to_string(), format!("[core.3]\n{}", lines.collect::<String>())));
        let config = Settings::resolve(&Sources { file, ..Sources::default() }).unwrap().runtime().unwrap();
        let text = format!("{:?}", config.per_core[&3]);
        assert!(!text.contains("None"), "{text}");
    }

    #[test]
    fn every_setting_is_documented_and_named_well() {
        for setting in SETTINGS {
            assert!(!setting.help.ends_with('.') && 20 < setting.help.len(), "{}", setting.key);
            assert!(setting.key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'), "{}", setting.key);
        }
    }
}
