//! What the dispatcher's account must be allowed to do, and what it is.

use domain::Finding;
use mongodb::bson::{Bson, Document};

/// What this crate asks of each collection for the dispatcher.
const NEEDED: [(&str, &[&str]); 8] = [
    ("conversions", &["find", "insert", "update", "remove", "createIndex"]),
    ("videos", &["find", "insert", "remove", "createIndex"]),
    ("pending", &["find", "insert", "update", "remove", "createIndex"]),
    ("control", &["find", "insert", "update"]),
    ("videos.files", &["find", "insert", "remove"]),
    ("videos.chunks", &["find", "insert", "remove", "createIndex"]),
    ("mp3s.files", &["remove"]),
    ("mp3s.chunks", &["remove", "createIndex"]),
];
const WHAT: &str = "rights in MongoDB";

/// Judges the answer to `connectionStatus` for an account of `database`.
pub(super) fn judge(said: &Document, database: &str) -> Finding {
    let Some((user, home)) = list(said, "authenticatedUsers").find_map(|user| named(user, "user"))
    else {
        let detail = "it lets in whoever reaches it, and lets them do everything";
        let fix = "have it ask for passwords (`mongod --auth`), and give each service an account as \
                   manifests/components/mongodb/users.js does";
        return Finding::warn(WHAT, detail, fix);
    };
    let missing: Vec<_> = NEEDED.iter().filter_map(|it| lacking(said, database, it)).collect();
    if missing.is_empty() {
        return Finding::ok(WHAT, format!("{user} has what a dispatcher needs"));
    }
    let words = missing
        .iter()
        .map(|(collection, actions)| format!("{} in {collection}", actions.join(", ")));
    let detail = format!("{user} may not {}", words.collect::<Vec<_>>().join("; "));
    let role = list(said, "authenticatedUserRoles").filter_map(|role| named(role, "role"));
    let role =
        role.filter(|(role, home)| home == database && !BUILT_IN.contains(&role.as_str())).last();
    let command = match role {
        Some((role, _)) => grant(database, &role, &missing),
        None => format!(
            "db.getSiblingDB(\"{home}\").grantRolesToUser(\"{user}\", [{{role: \"readWrite\", db: \"{database}\"}}])"
        ),
    };
    Finding::fail(WHAT, detail, format!("as an administrator, in mongosh: `{command}`"))
}

/// Roles that nobody can add to.
const BUILT_IN: [&str; 4] = ["read", "readWrite", "dbAdmin", "dbOwner"];

type Lacking = (&'static str, Vec<&'static str>);

fn lacking(
    said: &Document,
    database: &str,
    (collection, actions): &(&'static str, &'static [&'static str]),
) -> Option<Lacking> {
    let holding =
        || list(said, "authenticatedUserPrivileges").filter(|it| covers(it, database, collection));
    let may = |action: &str| {
        holding().any(|privilege| texts(privilege, "actions").any(|it| it == action))
    };
    let actions: Vec<_> = actions.iter().copied().filter(|action| !may(action)).collect();
    (!actions.is_empty()).then_some((*collection, actions))
}

/// Whether a privilege holds for this collection: an empty name stands for all.
fn covers(privilege: &Document, database: &str, collection: &str) -> bool {
    let Ok(resource) = privilege.get_document("resource") else { return false };
    let is = |key, name| resource.get_str(key).is_ok_and(|it| it.is_empty() || it == name);
    resource.get_bool("anyResource").unwrap_or(false)
        || is("db", database) && is("collection", collection)
}

fn grant(database: &str, role: &str, missing: &[Lacking]) -> String {
    let privileges = missing.iter().map(|(collection, actions)| {
        format!("{{resource: {{db: \"{database}\", collection: \"{collection}\"}}, actions: {actions:?}}}")
    });
    let privileges = privileges.collect::<Vec<_>>().join(", ");
    format!("db.getSiblingDB(\"{database}\").grantPrivilegesToRole(\"{role}\", [{privileges}])")
}

/// A list in the part of the answer that is about the account.
fn list<'a>(said: &'a Document, key: &'a str) -> impl Iterator<Item = &'a Document> {
    let list = said.get_document("authInfo").and_then(|info| info.get_array(key));
    list.into_iter().flatten().filter_map(Bson::as_document)
}

fn texts<'a>(document: &'a Document, key: &str) -> impl Iterator<Item = &'a str> {
    document.get_array(key).into_iter().flatten().filter_map(Bson::as_str)
}

/// A name and the database where it is one.
fn named(document: &Document, key: &str) -> Option<(String, String)> {
    let text = |key| document.get_str(key).ok().map(str::to_owned);
    text(key).zip(text("db"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The rights that the shipped role of the dispatcher has, in the words of `users.js`.
    const SHIPPED: &str = include_str!("../../../../manifests/components/mongodb/users.js");

    #[test]
    fn what_is_needed_is_what_the_shipped_role_holds() {
        let list = |from: &str| -> BTreeSet<String> {
            let list = from.split_once('[').unwrap().1.split_once(']').unwrap().0;
            list.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
        };
        let (write, indexed) = (
            SHIPPED.split_once("const WRITE").unwrap().1,
            SHIPPED.split_once("const INDEXED").unwrap().1,
        );
        let (write, indexed) = (list(write), list(indexed));
        let role = SHIPPED.split_once("  dispatcher: {").unwrap().1.split_once("  },").unwrap().0;
        for (collection, actions) in NEEDED {
            let entry = role.split_once(&format!("\"{collection}\":"));
            let entry = entry.or_else(|| role.split_once(&format!("    {collection}:")));
            let entry = entry.or_else(|| role.split_once(&format!(" {collection}:"))).unwrap().1;
            let mut held = if entry.starts_with(" WRITE") { write.clone() } else { list(entry) };
            held.extend(indexed.contains(collection).then(|| "createIndex".to_owned()));
            let needed: BTreeSet<_> = actions.iter().map(|action| (*action).to_owned()).collect();
            assert_eq!(held, needed, "{collection}");
        }
    }
}
