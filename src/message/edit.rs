//! Applies the operators' changes to the fields of a head.

use http::HeaderMap;

use crate::model::HeaderEdit;

/// Makes the changes one after the other.
pub fn edit_fields(fields: &mut HeaderMap, edits: &[HeaderEdit]) {
    for edit in edits {
        match edit {
            HeaderEdit::Set(name, value) => {
                fields.insert(name.clone(), value.clone());
            }
            HeaderEdit::Add(name, value) => {
                fields.append(name.clone(), value.clone());
            }
            HeaderEdit::Remove(name) => {
                fields.remove(name);
            }
        }
    }
}
