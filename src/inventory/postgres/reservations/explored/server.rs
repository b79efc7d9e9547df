//! The server of the model: its rows, and what each statement does to them as a whole.

use crate::inventory::model::HoldState;

/// The reservation of the callers, and that of another customer.
pub(super) const OWN: u8 = 0;
pub(super) const OTHER: u8 = 1;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A clean-up gives back the units of a hold in any state.
    ExpiresWhatHasEnded,
    /// A checkout takes the units of an expired hold without regard to the stock.
    SellsExpiredHolds,
    /// A checkout does not ask whether the reservation was used up or released.
    SellsUsedUpReservations,
    /// A release without an effect is refused, whether or not an earlier attempt had it.
    RefusesWhatIsReleased,
    /// Each attempt of a reserve has an id of its own.
    ReservesUnderAnotherId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tables {
    pub(super) stock: i64,
    pub(super) reserved: i64,
    pub(super) now: u8,
    pub(super) holds: Vec<Row>,
    /// By the index of the request.
    pub(super) orders: Vec<Stored>,
    /// The number of orders that were made from a reservation after its end.
    pub(super) sold_after_end: u8,
}

/// A reservation, and its hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) id: u8,
    pub(super) quantity: i64,
    pub(super) held: i64,
    pub(super) state: HoldState,
    pub(super) expires_at: u8,
    pub(super) remaining: i64,
    /// Units that were given back.
    pub(super) freed: i64,
    /// Units that were sold while they were reserved.
    pub(super) sold: i64,
    /// Units of the expired hold that were sold from free stock.
    pub(super) sold_again: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stored {
    No,
    Void,
    Order,
}

impl Row {
    pub(super) const fn new(id: u8, quantity: i64, expires_at: u8) -> Self {
        Self {
            id,
            quantity,
            held: quantity,
            state: HoldState::Held,
            expires_at,
            remaining: quantity,
            freed: 0,
            sold: 0,
            sold_again: 0,
        }
    }

    /// Returns the units that the product counts as reserved.
    pub(super) fn live(&self) -> i64 {
        match self.state {
            HoldState::Held => self.held,
            _ => 0,
        }
    }

    fn is_past(&self, now: u8) -> bool {
        self.expires_at <= now
    }

    fn end(&mut self, state: HoldState) -> i64 {
        let units = self.live();
        self.freed += units;
        self.state = state;
        units
    }
}

impl Tables {
    pub(super) const fn available(&self) -> i64 {
        self.stock - self.reserved
    }

    pub(super) fn row(&self, id: u8) -> Option<&Row> {
        self.holds.iter().find(|row| row.id == id)
    }

    /// Returns the state of a hold as a reader sees it.
    pub(super) fn state(&self, row: &Row) -> HoldState {
        match row.state {
            HoldState::Held if row.is_past(self.now) => HoldState::Expired,
            state => state,
        }
    }

    /// Returns which holds are past their time and not ended, without those of one reservation.
    pub(super) fn due(&self, except: Option<u8>) -> Vec<u8> {
        let due = self.holds.iter().filter(|row| {
            row.state == HoldState::Held && row.is_past(self.now) && Some(row.id) != except
        });
        due.map(|row| row.id).collect()
    }

    pub(super) fn expired(&self, except: Option<u8>) -> i64 {
        let due = self.due(except).into_iter();
        due.filter_map(|id| self.row(id)).map(Row::live).sum()
    }

    pub(super) fn reserve(&mut self, id: u8, units: i64, duration: u8) -> bool {
        let makes = self.row(id).is_none() && self.available() >= units;
        if makes {
            self.reserved += units;
            self.holds.push(Row::new(id, units, self.now + duration));
        }
        makes
    }

    pub(super) fn extend(&mut self, id: u8, duration: u8) -> bool {
        let now = self.now;
        let live =
            |row: &&mut Row| row.id == id && row.state == HoldState::Held && !row.is_past(now);
        let Some(row) = self.holds.iter_mut().find(live) else {
            return false;
        };
        row.expires_at = row.expires_at.max(now + duration);
        true
    }

    pub(super) fn release(&mut self, id: u8) -> bool {
        let ends = |row: &&mut Row| {
            row.id == id && matches!(row.state, HoldState::Held | HoldState::Expired)
        };
        let Some(row) = self.holds.iter_mut().find(ends) else {
            return false;
        };
        row.remaining = 0;
        self.reserved -= row.end(HoldState::Released);
        true
    }

    /// Ends those of the holds that are still due.
    pub(super) fn expire(&mut self, due: &[u8], fault: Option<Fault>) {
        for row in self.holds.iter_mut().filter(|row| due.contains(&row.id)) {
            if fault == Some(Fault::ExpiresWhatHasEnded) {
                self.reserved -= row.held;
                row.freed += row.held;
                row.state = HoldState::Expired;
            } else if row.state == HoldState::Held && row.is_past(self.now) {
                self.reserved -= row.end(HoldState::Expired);
            }
        }
    }

    /// Sells units, those of a reservation first.
    pub(super) fn sell(
        &mut self,
        order: usize,
        units: i64,
        own: Option<u8>,
        fault: Option<Fault>,
    ) -> bool {
        let available = self.available();
        let mut row = match own {
            None => None,
            Some(id) => match self.holds.iter_mut().find(|row| row.id == id) {
                None => return false,
                row => row,
            },
        };
        let covered = row.as_ref().map_or(0, |row| match row.state {
            HoldState::Held | HoldState::Expired => row.held,
            _ => 0,
        });
        let live = row.as_ref().map_or(0, |row| row.live());
        let counts = match fault {
            Some(Fault::SellsExpiredHolds) => covered,
            _ => live,
        };
        let is_used_up = row.as_ref().is_some_and(|row| row.remaining == 0);
        let sells = self.orders[order] == Stored::No
            && available + counts >= units
            && (!is_used_up || fault == Some(Fault::SellsUsedUpReservations));
        if !sells {
            return false;
        }
        self.orders[order] = Stored::Order;
        self.sold_after_end += u8::from(is_used_up);
        self.stock -= units;
        self.reserved -= live.min(units);
        if let Some(row) = &mut row {
            let taken = covered.min(units);
            match row.state {
                HoldState::Held => row.sold += taken,
                _ => row.sold_again += taken,
            }
            row.held -= taken;
            row.remaining -= taken;
            if row.held == 0 && taken > 0 {
                row.state = HoldState::Consumed;
            }
        }
        true
    }

    /// Uses up the id of an order. Returns whether it was free.
    pub(super) fn void(&mut self, order: usize) -> bool {
        let is_free = self.orders[order] == Stored::No;
        if is_free {
            self.orders[order] = Stored::Void;
        }
        is_free
    }
}
