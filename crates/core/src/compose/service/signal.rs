//! `stop_signal`: a name with or without `SIG`, or a number.

use super::super::value::Refused;

/// The signals of Linux that have a name of their own.
const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];
/// Largest number of a signal.
const NUMBER_MAX: u8 = 64;

/// Reads a signal, and returns it as it was written: docker knows the same spellings.
pub(super) fn read(text: &str) -> Result<String, Refused> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse().is_ok_and(|number: u8| (1..=NUMBER_MAX).contains(&number));
    if NAMES.contains(&name) || is_real_time(name) || is_number {
        return Ok(text.to_owned());
    }
    Err(Refused::new(text, "a signal such as `SIGTERM`, `INT` or `10`"))
}

/// `RTMIN+n` and `RTMAX-n`.
fn is_real_time(name: &str) -> bool {
    let offset = name.strip_prefix("RTMIN+").or_else(|| name.strip_prefix("RTMAX-"));
    offset.and_then(|offset| offset.parse().ok()).is_some_and(|offset: u8| (1..=15).contains(&offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["SIGTERM", "TERM", "SIGUSR1", "15", "64", "1", "SIGRTMIN+3", "RTMAX-14", "SIGXFSZ"] {
            assert_eq!(read(text), Ok(text.to_owned()));
        }
        for text in ["", "SIG", "sigterm", "0", "65", "-1", "SIGRTMIN+16", "SIGTERMINATE", "+9"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
