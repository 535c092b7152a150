//! What a device knows of each epoch it lived through: a frame is judged by the view of its own
//! epoch, not by the newest.

use crate::device::{Conversation, Device, VIEWS_IN_MEMORY, sql_int};
use crate::error::{Error, Result};
use crate::label::decode_roster;
use crate::mls::{Context, View};
use openmls::prelude::MlsGroup;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

impl Device {
    pub(crate) fn remember_view(&mut self, view: View) -> Arc<View> {
        if self.views.len() >= VIEWS_IN_MEMORY {
            self.views.clear();
        }
        let view = Arc::new(view);
        self.views.insert((view.conversation, view.epoch), view.clone());
        view
    }

    pub(crate) fn newest_view(&mut self, conversation: &Conversation) -> Result<Arc<View>> {
        let sql = "SELECT max(epoch) FROM cs_view WHERE conversation = ?";
        let mut statement = self.store.connection.prepare_cached(sql)?;
        let epoch: Option<u64> = statement.query_row([conversation], |row| row.get(0))?;
        drop(statement);
        let epoch = epoch.ok_or_else(|| Error::usage("this device has no such conversation"))?;
        self.view(conversation, epoch)
    }

    /// The view of an epoch that this device lived through. Errors: "usage".
    pub(crate) fn view(&mut self, conversation: &Conversation, epoch: u64) -> Result<Arc<View>> {
        if let Some(view) = self.views.get(&(*conversation, epoch)) {
            return Ok(view.clone());
        }
        let view = load_view(&self.store.connection, conversation, epoch)?;
        Ok(self.remember_view(view))
    }

    pub fn group_view(
        &mut self,
        conversation: &Conversation,
        epoch: Option<u64>,
    ) -> Result<Arc<View>> {
        match epoch {
            Some(epoch) => self.view(conversation, epoch),
            None => self.newest_view(conversation),
        }
    }
}

pub fn next_view(
    group: &MlsGroup,
    db: &Connection,
    old: &View,
    moves_roster: bool,
) -> Result<View> {
    let roster_epoch = if moves_roster { group.epoch().as_u64() } else { old.roster_epoch };
    let view = View::of(group.public_group(), roster_epoch)?;
    insert_view(db, &view)?;
    Ok(view)
}

pub fn insert_view(db: &Connection, view: &View) -> Result<()> {
    let sql = "INSERT INTO cs_view (conversation, epoch, roster_epoch, roster,
                              charter_digest, quarter, keyset_digest, suite)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let context = &view.context;
    db.execute(
        sql,
        params![
            view.conversation,
            sql_int(view.epoch)?,
            sql_int(view.roster_epoch)?,
            view.roster,
            context.charter_digest,
            sql_int(context.quarter)?,
            context.keyset_digest,
            view.suite
        ],
    )?;
    Ok(())
}

fn load_view(db: &Connection, conversation: &Conversation, epoch: u64) -> Result<View> {
    let sql = "SELECT roster_epoch, roster, charter_digest, quarter, keyset_digest, suite
               FROM cs_view WHERE conversation = ? AND epoch = ?";
    let mut statement = db.prepare_cached(sql)?;
    let row = statement.query_row(params![conversation, sql_int(epoch)?], |row| {
        let context = Context {
            charter_digest: row.get(2)?,
            quarter: row.get(3)?,
            keyset_digest: row.get(4)?,
        };
        Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?, context, row.get::<_, u16>(5)?))
    });
    let (roster_epoch, roster, context, suite) = row.optional()?.ok_or_else(|| {
        Error::usage(format!("this device has no view of the conversation in epoch {epoch}"))
    })?;
    View::new(*conversation, epoch, roster_epoch, decode_roster(&roster)?, context, suite)
}
