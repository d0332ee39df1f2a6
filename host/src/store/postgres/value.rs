//! Values as PostgreSQL sends them and takes them.
//!
//! Owns their conversion. A value is sent as text of no type: the server makes of it what the column
//! or the operator needs, because an orchestrator's ids, names and times may have several types. It
//! is received in the binary form of its type. Callers rely on this: a value that the server sends
//! is never an error; one of a type that is not known here is shown as its text or its bytes.

use std::error::Error as StdError;
use std::str;

use bytes::{BufMut, BytesMut};
use jiff::{SignedDuration, Timestamp};
use postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::printable::hex;
use crate::store::Error;
use crate::store::engine::{Columns, Unexpected, Value};

/// A value for a parameter.
#[derive(Debug)]
pub(crate) struct Sent<'a>(pub Value<'a>);

impl Sent<'_> {
    /// The type that the server is told. A number that no `integer` can be has its own: compared
    /// with an id of that type it is then another number, and no error.
    pub(crate) fn type_of(&self) -> Type {
        match self.0 {
            Value::Integer(number) if i32::try_from(number).is_err() => Type::INT8,
            _ => Type::UNKNOWN,
        }
    }
}

impl ToSql for Sent<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(number) => out.put_slice(number.to_string().as_bytes()),
            Value::Real(number) => out.put_slice(number.to_string().as_bytes()),
            Value::Text(text) => out.put_slice(text),
            Value::Bytes(bytes) => {
                out.put_slice(b"\\x");
                out.put_slice(hex(bytes).as_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The values of a row.
pub(crate) struct Cells(Vec<Cell>);

enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

impl Cells {
    pub(crate) fn of(row: &postgres::Row) -> Result<Cells, postgres::Error> {
        let cells = (0..row.len()).map(|column| row.try_get(column));
        Ok(Cells(cells.collect::<Result<_, _>>()?))
    }
}

impl Columns for Cells {
    fn value(&self, column: usize) -> Result<Value<'_>, Error> {
        let cell = self.0.get(column);
        Ok(match cell.ok_or(Unexpected::Type { column })? {
            Cell::Null => Value::Null,
            Cell::Integer(number) => Value::Integer(*number),
            Cell::Real(number) => Value::Real(*number),
            Cell::Text(text) => Value::Text(text),
            Cell::Bytes(bytes) => Value::Bytes(bytes),
        })
    }
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Cell, Box<dyn StdError + Sync + Send>> {
        Ok(match *of {
            Type::BOOL => Cell::Integer(bool::from_sql(of, raw)?.into()),
            Type::INT2 => Cell::Integer(i16::from_sql(of, raw)?.into()),
            Type::INT4 => Cell::Integer(i32::from_sql(of, raw)?.into()),
            Type::OID => Cell::Integer(u32::from_sql(of, raw)?.into()),
            Type::INT8 => Cell::Integer(i64::from_sql(of, raw)?),
            Type::FLOAT4 => Cell::Real(f32::from_sql(of, raw)?.into()),
            Type::FLOAT8 => Cell::Real(f64::from_sql(of, raw)?),
            Type::BYTEA => Cell::Bytes(raw.into()),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => Cell::Text(time(raw).into_bytes()),
            // Its first byte is the version of the form.
            Type::JSONB => Cell::Text(raw.get(1..).unwrap_or_default().into()),
            _ if str::from_utf8(raw).is_ok() => Cell::Text(raw.into()),
            _ => Cell::Bytes(raw.into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Cell, Box<dyn StdError + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// 2000-01-01, from which the server counts microseconds.
const EPOCH: i64 = 946_684_800;

/// A point in time as text, in UTC. The server has times beyond the last one that is known here.
fn time(raw: &[u8]) -> String {
    let micros = raw.try_into().map(i64::from_be_bytes).unwrap_or(i64::MAX);
    let since = SignedDuration::from_micros(micros);
    let time = since
        .checked_add(SignedDuration::from_secs(EPOCH))
        .and_then(|since| Timestamp::from_duration(since).ok());
    match time {
        Some(time) => time.strftime("%Y-%m-%d %H:%M:%S%.f").to_string(),
        None if micros < 0 => "-infinity".into(),
        None => "infinity".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_text_in_utc_with_its_fraction() {
        let at = |micros: i64| time(&micros.to_be_bytes());
        assert_eq!(at(0), "2000-01-01 00:00:00");
        assert_eq!(at(1_500_000), "2000-01-01 00:00:01.5");
        assert_eq!(at(-1), "1999-12-31 23:59:59.999999");
        assert_eq!(at(i64::MAX), "infinity");
        assert_eq!(at(i64::MIN), "-infinity");
    }
}
