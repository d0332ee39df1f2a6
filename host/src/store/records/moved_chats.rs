//! Chats whose number has changed: a Telegram group gets another when it becomes a supergroup.
//!
//! Owns the table of them, by the configured number: once that is corrected, the row no longer
//! matters. Leaves a channel's answers to the room `alerts`.

use crate::store::engine::values;
use crate::store::{Error, Store};

impl Store {
    /// Where a chat of a channel has moved to; none if it has not.
    pub fn moved_chat(&mut self, channel: &str, chat: &str) -> Result<Option<String>, Error> {
        self.read(|tx| {
            tx.row(
                "SELECT moved_to FROM serial_gate_moved_chat WHERE channel = $1 AND chat = $2",
                values![channel, chat],
                |row| row.get(0),
            )
        })
    }

    /// Removes the new number of a chat.
    pub fn chat_is_back(&mut self, channel: &str, chat: &str) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "DELETE FROM serial_gate_moved_chat WHERE channel = $1 AND chat = $2",
                values![channel, chat],
            )?;
            Ok(())
        })
    }

    /// Stores the new number of a chat.
    pub fn chat_has_moved(&mut self, channel: &str, chat: &str, to: &str) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO serial_gate_moved_chat (channel, chat, moved_to) VALUES ($1, $2, $3)
                     ON CONFLICT (channel, chat) DO UPDATE SET moved_to = excluded.moved_to",
                values![channel, chat, to],
            )?;
            Ok(())
        })
    }
}
