//! The program: arguments in, an exit code out. What it does is in `corelane-server`.

mod arguments;
mod doctor;
mod exit;
mod output;
mod progress;
mod quantity;
mod reference;
mod run;
mod settings;
mod signals;
mod stats;
mod unfinished;
mod version;

use std::process::ExitCode;

use arguments::{Arguments, Command, ConfigCommand};
use clap::{CommandFactory, Parser};
use exit::{Exit, Failed};

// glibc's allocator is many times slower where another core frees what this one allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit::install_panic_hook();
    let arguments = Arguments::parse();
    let color = arguments.color;
    // A panic has already been told to the user by the hook.
    let ended = std::panic::catch_unwind(|| dispatch(arguments)).unwrap_or(Ok(Exit::Failed));
    let exit = match ended {
        Ok(exit) => exit,
        Err(failed) => {
            failed.report(color.for_stderr());
            failed.exit()
        }
    };
    ExitCode::from(exit.code())
}

fn dispatch(arguments: Arguments) -> Result<Exit, Failed> {
    match arguments.command {
        Command::Run(run) => run::run(run),
        Command::Explain(explain) => run::explain(explain),
        Command::Doctor(doctor) => doctor::doctor(&doctor),
        Command::Config(ConfigCommand::Show(config)) => settings::show(&config),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "corelane", &mut text);
            output::print(&text)
        }
        Command::Man => output::print(&reference::man()?),
        Command::Docs { page } => output::print(reference::page(page)?.as_bytes()),
    }
}
