//! The place in the component where the rule file is.
//!
//! A component without a file has room for one in its data. [`component`] writes it into these bytes,
//! so that a policy needs no compiler. Callers rely on this: there is one such place in a component,
//! and its size never changes.

use alloc::vec::Vec;

/// How many bytes a rule file may have.
pub const ROOM: usize = 64 << 10;

/// What the place starts with. The length of the file follows, as four bytes, the lowest first.
const MARK: [u8; 32] = *b"serial-gate rule file is here ->";

const HEAD: usize = MARK.len() + 4;

/// The bytes of the place.
pub type Slot = [u8; HEAD + ROOM];

/// The place without a file.
pub const fn empty() -> Slot {
    let mut slot = [0; HEAD + ROOM];
    let (head, _) = slot.split_at_mut(MARK.len());
    head.copy_from_slice(&MARK);
    slot
}

/// The file in the place; `None` if the place is empty.
pub fn file(slot: &Slot) -> Option<&str> {
    let length = slot.get(MARK.len()..HEAD)?.try_into().ok()?;
    let length = u32::from_le_bytes(length) as usize;
    let text = slot.get(HEAD..)?.get(..length)?;
    core::str::from_utf8(text)
        .ok()
        .filter(|text| !text.is_empty())
}

/// The file in a component; `None` if it has none.
pub fn find(component: &[u8]) -> Option<&str> {
    let slot = component.get(place(component)?..)?.first_chunk()?;
    file(slot)
}

/// A component with a file; `None` if the file is too long, or the component has no place for it.
pub fn component(template: &[u8], file: &str) -> Option<Vec<u8>> {
    let mut component = template.to_vec();
    let slot = component
        .get_mut(place(template)?..)?
        .get_mut(..HEAD + ROOM)?;
    let (head, room) = slot.split_at_mut_checked(HEAD)?;
    let length = u32::try_from(file.len()).ok()?;
    head.get_mut(MARK.len()..)?
        .copy_from_slice(&length.to_le_bytes());
    let (text, rest) = room.split_at_mut_checked(file.len())?;
    text.copy_from_slice(file.as_bytes());
    rest.fill(0);
    Some(component)
}

fn place(component: &[u8]) -> Option<usize> {
    let mut places = component.windows(MARK.len());
    places.position(|bytes| *bytes == MARK)
}
