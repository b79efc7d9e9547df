//! The events that may happen in each state, and what must always hold.

use stateright::{Model, Property};

use super::{
    super::{Action, Actions, BatchId, Event, Fate, Limits, Machine, Ticket},
    surroundings::{Caller, State},
};

/// A queue whose states are explored.
#[derive(Clone, Debug)]
pub(super) struct Explored {
    pub(super) limits: Limits,
    pub(super) requests: usize,
    /// How often a worker is lost or stands still, or a batch is lost.
    pub(super) disturbances: u8,
    pub(super) fault: Option<Fault>,
}

/// What the queue around the machine does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LostWakeUp,
    AnsweredTwice,
    EarlyShutdown,
    NoOtherWorker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Written,
    /// All but the last request.
    Mixed,
    Blocked,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Admit(&'static [u64]),
    Leave(Ticket),
    EndDirect(Ticket),
    Take,
    Slow(BatchId),
    End(BatchId, Ending),
    LoseBatch(BatchId),
    LoseWorker,
    Stall(Ticket),
    /// The worker that was replaced wakes, with its batches.
    WakeReplaced,
    Close,
    Abandon,
}

const KEYS: [&[u64]; 3] = [&[1], &[2], &[1, 2]];

const ENDINGS: [Ending; 3] = [Ending::Written, Ending::Mixed, Ending::Blocked];

fn ended(batch: BatchId, requests: usize, ending: Ending) -> Event {
    let fate = |index| match ending {
        Ending::Written => Fate::Final,
        Ending::Mixed if index + 1 == requests => Fate::Bypass { in_doubt: true },
        Ending::Mixed => Fate::Final,
        Ending::Blocked => Fate::Again,
    };
    Event::Ended {
        batch,
        fates: (0..requests).map(fate).collect(),
        blocked: ending == Ending::Blocked,
    }
}

impl Explored {
    /// Sends an event to the machine, and carries out what it wants.
    fn send(&self, state: &mut State, event: Event, may_spawn: bool) {
        let mut actions = state.machine.on(event.clone());
        if let Some(fault) = self.fault {
            let first = state.disturbances == self.disturbances;
            plant(fault, &event, first, &mut actions);
        }
        state.perform(actions, may_spawn);
    }

    fn admit(&self, state: &mut State, keys: &[u64]) {
        let ticket = Ticket(state.callers.len() as u64 + 1);
        state.keys.push(keys.to_vec());
        state.callers.push(Caller::Done); // if it is refused
        let admit = Event::Admit {
            ticket,
            keys: keys.iter().copied().collect(),
            weight: 1,
        };
        let before = state.machine.clone();
        let admitted = state.machine.on(admit.clone());
        *state.caller(ticket) = match admitted[0] {
            Action::Direct => Caller::Direct { bypasses: false },
            Action::Queued => Caller::Queued,
            _ => Caller::Done,
        };
        state.machine = before;
        self.send(state, admit, true);
    }

    fn close(&self, state: &mut State) {
        self.send(state, Event::Close, false);
    }
}

/// Corrupts what the machine wants. `first`: no worker was lost so far.
fn plant(fault: Fault, event: &Event, first: bool, actions: &mut Actions) {
    match (fault, event) {
        (Fault::LostWakeUp, _) => actions.retain(|action| *action != Action::Wake),
        (Fault::AnsweredTwice, Event::Lost(_)) => {
            // The batch answers although its requests were given up.
            let doubts: Actions = actions
                .iter()
                .filter_map(|action| match action {
                    Action::Doubt(ticket) => Some(Action::Answer {
                        ticket: *ticket,
                        index: 0,
                    }),
                    _ => None,
                })
                .collect();
            actions.extend(doubts);
        }
        (Fault::EarlyShutdown, Event::Close) => actions.push(Action::Idle),
        (Fault::NoOtherWorker, _) => {
            actions.retain(|action| !matches!(action, Action::Spawn(_)) || first);
        }
        _ => {}
    }
}

impl Model for Explored {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            machine: Machine::new(self.limits),
            callers: Vec::new(),
            keys: Vec::new(),
            worker: None,
            replaced: None,
            disturbances: self.disturbances,
            leaves: 1,
            idle: false,
            answered_twice: false,
            impossible: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.callers.len() < self.requests && !state.machine.closed {
            // The two keys are alike: the first request has the first one, or both.
            let keys = KEYS
                .iter()
                .filter(|keys| !state.callers.is_empty() || keys[0] == 1);
            steps.extend(keys.map(|keys| Step::Admit(keys)));
        }
        let disturbed = state.disturbances > 0;
        for (at, caller) in state.callers.iter().enumerate() {
            let ticket = Ticket(at as u64 + 1);
            match caller {
                Caller::Queued => {
                    if state.leaves > 0 {
                        steps.push(Step::Leave(ticket));
                    }
                    if disturbed {
                        steps.push(Step::Stall(ticket));
                    }
                }
                Caller::Direct { .. } => steps.push(Step::EndDirect(ticket)),
                Caller::Done => {}
            }
        }
        if let Some(worker) = &state.worker {
            if worker.woken {
                steps.push(Step::Take);
            }
            for batch in &worker.batches {
                if !batch.slow {
                    steps.push(Step::Slow(batch.id));
                }
                steps.extend(ENDINGS.map(|ending| Step::End(batch.id, ending)));
                if disturbed {
                    steps.push(Step::LoseBatch(batch.id));
                }
            }
            if disturbed {
                steps.push(Step::LoseWorker);
            }
        }
        if state.replaced.is_some() {
            steps.push(Step::WakeReplaced);
        }
        if !state.machine.closed {
            steps.push(Step::Close);
        } else if state.machine.depth() + state.machine.bypassing.len() > 0 {
            steps.push(Step::Abandon);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Admit(keys) => self.admit(&mut state, keys),
            Step::Leave(ticket) => {
                state.leaves -= 1;
                *state.caller(ticket) = Caller::Done;
                self.send(&mut state, Event::Left(ticket), false);
            }
            Step::EndDirect(ticket) => {
                *state.caller(ticket) = Caller::Done;
                self.send(&mut state, Event::DirectEnded(ticket), false);
            }
            Step::Take => {
                let worker = state.worker.as_mut()?;
                worker.woken = false;
                let take = Event::Take(worker.generation);
                self.send(&mut state, take, false);
            }
            Step::Slow(id) => {
                let worker = state.worker.as_mut()?;
                worker.woken = true;
                worker.batches.iter_mut().find(|it| it.id == id)?.slow = true;
                self.send(&mut state, Event::Slow(id), false);
            }
            Step::End(id, _) | Step::LoseBatch(id) => {
                let worker = state.worker.as_mut()?;
                worker.woken = true;
                let at = worker.batches.iter().position(|it| it.id == id)?;
                let batch = worker.batches.remove(at);
                let event = match step {
                    Step::End(_, ending) => ended(id, batch.tickets.len(), ending),
                    _ => {
                        state.disturbances -= 1;
                        Event::Lost(id)
                    }
                };
                self.send(&mut state, event, false);
            }
            Step::LoseWorker => {
                state.disturbances -= 1;
                let worker = state.worker.take()?;
                self.send(&mut state, Event::WorkerLost(worker.generation), false);
            }
            Step::Stall(ticket) => {
                state.disturbances -= 1;
                let mut replaced = state.machine.clone();
                if replaced.on(Event::Stalled(ticket)).is_empty() {
                    return None;
                }
                state.replaced = state.worker.take();
                self.send(&mut state, Event::Stalled(ticket), true);
            }
            Step::WakeReplaced => {
                let replaced = state.replaced.take()?;
                let (callers, batches) = (state.callers.clone(), replaced.batches);
                for batch in batches {
                    let late = ended(batch.id, batch.tickets.len(), Ending::Written);
                    self.send(&mut state, late, false);
                }
                let rests = state.machine.on(Event::Take(replaced.generation));
                state.machine.on(Event::WorkerLost(replaced.generation));
                state.impossible |=
                    rests.first() != Some(&Action::Rest) || state.callers != callers;
            }
            Step::Close => self.close(&mut state),
            Step::Abandon => self.send(&mut state, Event::Abandon, false),
        }
        state.normalize();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no request is answered twice", |_, state: &State| {
                !state.answered_twice
            }),
            Property::always("only what is possible is wanted", |_, state: &State| {
                !state.impossible
            }),
            Property::always("a request is answered in the end", |_, state: &State| {
                !state.is_quiet() || !state.is(|caller| caller == Caller::Queued)
            }),
            Property::always("queued requests have a worker", |_, state: &State| {
                state.machine.depth() == 0 || state.worker.is_some()
            }),
            // A worker that is not woken could not have started anything.
            Property::always("what may start is started", |_, state: &State| {
                let idle = state.worker.as_ref().filter(|worker| !worker.woken);
                idle.is_none_or(|worker| {
                    let taken = state.machine.clone().on(Event::Take(worker.generation));
                    taken.is_empty()
                })
            }),
            Property::always("a shutdown waits for every request", |_, state: &State| {
                let open = state.is(|it| matches!(it, Caller::Queued | Caller::Direct { .. }));
                !(state.idle && open)
            }),
            Property::always("a shutdown ends", |_, state: &State| {
                let ended = state.machine.closed && state.is_quiet();
                !ended || (state.idle && state.machine.is_idle())
            }),
            Property::always("batches have disjoint keys", |_, state: &State| {
                let all = &state.machine.running;
                all.iter().enumerate().all(|(at, one)| {
                    all[at + 1..].iter().all(|other| {
                        let follow =
                            one.follows == Some(other.batch) || other.follows == Some(one.batch);
                        follow || !one.keys.iter().any(|key| other.keys.contains(key))
                    })
                })
            }),
            Property::always("at most one batch follows another", |_, state: &State| {
                let running = &state.machine.running;
                let follows = running
                    .iter()
                    .filter(|it| running.iter().any(|other| it.follows == Some(other.batch)));
                follows.count() <= 1
            }),
            Property::always(
                "no more connections than allowed",
                |explored: &Self, state: &State| {
                    let direct = state.direct(true).count() + state.direct(false).count();
                    let of_a_key = |key: u64| {
                        let bypassing = state.direct(true);
                        bypassing.filter(|keys| keys.contains(&key)).count()
                    };
                    direct + state.batches().count() <= explored.limits.connections
                        && of_a_key(1) <= Limits::BYPASSING_OF_A_KEY
                        && of_a_key(2) <= Limits::BYPASSING_OF_A_KEY
                },
            ),
            Property::always(
                "uncontended requests have different keys",
                |_, state: &State| {
                    let direct: Vec<&Vec<u64>> = state.direct(false).collect();
                    direct.iter().enumerate().all(|(at, keys)| {
                        let mut others = direct[at + 1..].iter().copied().flatten();
                        others.all(|key| !keys.contains(key))
                    })
                },
            ),
            // The exploration reaches what it is about.
            Property::sometimes("two batches run", |_, state: &State| {
                state.batches().count() > 1
            }),
            Property::sometimes("a request is parked", |_, state: &State| {
                let mut running = state.machine.running.iter();
                running.any(|running| !running.parked.is_empty())
            }),
        ]
    }
}
