//! Which app somebody means: the one of that name, or the only one whose name begins so.

use tickmesh_client::on_record::OnRecord;
use tickmesh_core::{
    id::RunNumber,
    ledger::HISTORY_RUNS,
    message::{AppRecord, AppSource},
    name::AppName,
};
use tickmesh_messaging::{Entry, Mesh};

use crate::exit::BadInput;

/// Names that are listed where several could be meant.
const LISTED_MAX: usize = 5;
/// Letters that may be wrong in a name that is suggested.
const TYPING_ERRORS_MAX: usize = 2;

/// What is stored under an app's name, a tombstone included; an error if nothing ever was.
pub(super) async fn resolve(mesh: &Mesh, typed: &AppName) -> anyhow::Result<(AppName, Entry<AppRecord>)> {
    if let Some(entry) = mesh.apps().read(typed.as_str()).await? {
        return Ok((typed.clone(), entry));
    }
    by_beginning(mesh, typed).await
}

/// The app whose name begins so, if there is one.
async fn by_beginning(mesh: &Mesh, typed: &AppName) -> anyhow::Result<(AppName, Entry<AppRecord>)> {
    let present = mesh.apps().look().await?.0.into_iter().filter(|entry| entry.value.source.is_some());
    let mut present: Vec<(AppName, Entry<AppRecord>)> =
        present.filter_map(|entry| Some((AppName::new(entry.key.clone()).ok()?, entry))).collect();
    present.sort_by(|(one, _), (other, _)| one.cmp(other));
    let names: Vec<&AppName> = present.iter().map(|(name, _)| name).collect();
    let meant = meant(&names, typed)?;
    Ok(present.swap_remove(meant))
}

/// What is on record about an app, in one round trip if its whole name was typed; an error if nothing ever was.
pub(super) async fn look_up(mesh: &Mesh, typed: &AppName) -> anyhow::Result<(AppName, OnRecord)> {
    let on_record = OnRecord::look(mesh, typed).await?;
    if on_record.record.is_some() {
        return Ok((typed.clone(), on_record));
    }
    let (app, _) = by_beginning(mesh, typed).await?;
    let on_record = OnRecord::look(mesh, &app).await?;
    Ok((app, on_record))
}

/// An app that is under control of the mesh, its revision and its file. An error if it is removed.
pub(super) async fn known(mesh: &Mesh, typed: &AppName) -> anyhow::Result<(AppName, u64, AppSource)> {
    let (app, entry) = resolve(mesh, typed).await?;
    let source = entry.value.source.ok_or_else(|| unknown(&app))?;
    Ok((app, entry.sequence, source))
}

/// Makes sure that an app exists under its full name: what follows cannot be undone.
pub(super) async fn known_exactly(mesh: &Mesh, app: &AppName) -> anyhow::Result<()> {
    let entry = mesh.apps().read(app.as_str()).await?;
    Ok(entry.and_then(|entry| entry.value.source).map(drop).ok_or_else(|| unknown(app))?)
}

pub(super) fn unknown(app: &AppName) -> BadInput {
    BadInput::new(format!("there is no app `{app}`")).hint("`tickmesh ls` lists them")
}

/// That nothing is known of a run, or not any more.
pub(super) fn unknown_run(app: &AppName, run: RunNumber) -> BadInput {
    BadInput::new(format!("run {app}/{run} is not known"))
        .hint(format!("`tickmesh runs {app}` lists the last {HISTORY_RUNS}: no more are kept"))
}

/// The place of the name that is meant.
fn meant(names: &[&AppName], typed: &AppName) -> Result<usize, BadInput> {
    let begins: Vec<usize> =
        (0..names.len()).filter(|place| names[*place].as_str().starts_with(typed.as_str())).collect();
    match begins.as_slice() {
        [one] => Ok(*one),
        [] => {
            let distance = |name: &&&AppName| strsim::levenshtein(name.as_str(), typed.as_str());
            let nearest = names.iter().min_by_key(distance).filter(|name| distance(name) <= TYPING_ERRORS_MAX);
            Err(match nearest {
                Some(nearest) => {
                    BadInput::new(format!("there is no app `{typed}`")).hint(format!("did you mean `{nearest}`?"))
                }
                None => unknown(typed),
            })
        }
        several => {
            let listed: Vec<&str> = several.iter().take(LISTED_MAX).map(|place| names[*place].as_str()).collect();
            let more = if several.len() > LISTED_MAX { " ..." } else { "" };
            Err(BadInput::new(format!("`{typed}` could be any of {} apps", several.len()))
                .hint(format!("write more of it: {}{more}", listed.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Judgement;

    #[track_caller]
    fn check(typed: &str, expected: Result<&str, &str>) {
        let names = ["billing", "nightly", "nightly-eu", "report"].map(|name| AppName::new(name).unwrap());
        let names: Vec<&AppName> = names.iter().collect();
        let found = meant(&names, &AppName::new(typed).unwrap()).map(|place| names[place].as_str());
        let found = found.map_err(|error| {
            let text = error.to_string();
            let hint = Judgement::of(&error.into()).hint.unwrap_or_default();
            format!("{text} ({hint})")
        });
        assert_eq!(found.as_ref().copied().map_err(String::as_str), expected);
    }

    #[test]
    fn the_beginning_of_a_name_is_enough_if_no_other_one_begins_so() {
        check("b", Ok("billing"));
        check("rep", Ok("report"));
        check("night", Err("`night` could be any of 2 apps (write more of it: nightly, nightly-eu)"));
        check("nigthly", Err("there is no app `nigthly` (did you mean `nightly`?)"));
        check("x", Err("there is no app `x` (`tickmesh ls` lists them)"));
    }
}
