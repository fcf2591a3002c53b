//! What clients asked for and were told, and what follows from it.

use control::{CommandError, Control, View};
use model::{Amendment, Depth, EngineId, Phase, Said, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// What a client may ask for; the id is a container's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Create(Said),
    Start(String),
    Stop(String),
    Delete(String),
    Freeze(String),
    Thaw(String),
    SayPolicy(String, Amendment),
    Audit,
    ShutDown,
}

impl Ask {
    /// The deadlines of the engine's calls, added up: a start may wait for a stop's four tries and for starts before it.
    fn within(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Create(_) | Self::Start(_) | Self::Freeze(_) | Self::Thaw(_) => 1_500,
            Self::Stop(_) | Self::Delete(_) | Self::SayPolicy(..) => 1,
            Self::Audit => 90,
            Self::ShutDown => 30,
        })
    }
}

/// What a client who was told last may count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Runs,
    Rests,
}

/// A container as clients know it.
struct Known {
    body: EngineId,
    address: Ipv4Addr,
    ports: Vec<u16>,
    wish: Option<Wish>,
    /// Raised by whatever else may start or stop it: a wish outlives none of that.
    others: u64,
    under_way: u64,
    deletion_asked: bool,
    deleted: bool,
    expired: bool,
    /// What its owner says of its policy, where that is known beyond doubt; and who is saying something.
    said: Option<Said>,
    saying: u64,
}

struct Asked {
    what: Ask,
    since: Duration,
    /// Where [`Known::others`] stood.
    others: u64,
    alone: bool,
}

#[derive(Default)]
pub struct Clients {
    known: BTreeMap<String, Known>,
    asked: BTreeMap<u64, Asked>,
    numbers: u64,
}

impl Known {
    /// Its owner has said this of its policy, or could not.
    fn said(
        &mut self,
        amendment: &Amendment,
        alone: bool,
        answer: Result<&View, &CommandError>,
    ) -> Option<String> {
        self.saying = self.saying.saturating_sub(1);
        if !alone || self.saying > 0 {
            self.said = None;
            return None;
        }
        let has = answer.ok()?.container.owner_says.clone();
        let before = self.said.replace(has.clone())?;
        let mut should = before;
        should.amend(amendment);
        (has != should).then(|| format!("{} was told {amendment:?} of its policy and has {has:?}", self.body))
    }
}

impl Clients {
    pub fn ask(&mut self, what: Ask, now: Duration) -> u64 {
        let mut asked = Asked { what, since: now, others: 0, alone: false };
        if let (Ask::Start(id) | Ask::Stop(id) | Ask::Delete(id), clients) = (&asked.what, &mut self.known)
            && let Some(known) = clients.get_mut(id)
        {
            known.others += 1;
            known.wish = None;
            known.deletion_asked |= matches!(asked.what, Ask::Delete(_));
            (asked.others, asked.alone) = (known.others, known.under_way == 0);
            known.under_way += 1;
        }
        if let Ask::SayPolicy(id, _) = &asked.what
            && let Some(known) = self.known.get_mut(id)
        {
            known.saying += 1;
            asked.alone = known.saying == 1;
        }
        self.numbers += 1;
        self.asked.insert(self.numbers, asked);
        self.numbers
    }

    /// Somebody was answered. `runs` says what the engine has at this moment.
    pub fn told(
        &mut self,
        number: u64,
        answer: Result<&View, &CommandError>,
        runs: impl Fn(&EngineId) -> bool,
    ) -> Option<String> {
        let asked = self.asked.remove(&number)?;
        if let (Ask::Create(said), Ok(view)) = (&asked.what, answer) {
            return self.created(view, said, runs);
        }
        if let Ask::SayPolicy(id, amendment) = &asked.what {
            return self.known.get_mut(id)?.said(amendment, asked.alone, answer);
        }
        if let (Ask::Freeze(id) | Ask::Thaw(id), Ok(view)) = (&asked.what, answer) {
            let wanted = if matches!(asked.what, Ask::Freeze(_)) { Depth::Frozen } else { Depth::Awake };
            let is = view.container.phase.depth();
            return (is != wanted).then(|| format!("{id} was asked to be {wanted:?} and is {is:?}"));
        }
        let (Ask::Start(id) | Ask::Stop(id) | Ask::Delete(id)) = &asked.what else { return None };
        let known = self.known.get_mut(id)?;
        known.under_way = known.under_way.saturating_sub(1);
        if let Err(CommandError::Gone(_)) = answer {
            return (!known.deletion_asked && !known.expired)
                .then(|| format!("{id} is called gone, and nobody deleted it"));
        }
        let view = answer.ok()?;
        let unrivalled = asked.alone && asked.others == known.others && !known.deletion_asked;
        let (shown, real) = (view.container.phase.status(), runs(&known.body));
        match asked.what {
            Ask::Start(_) if shown != Status::Running => {
                return Some(format!("{id} was started and is {shown:?}"));
            }
            Ask::Start(_) if unrivalled && real => known.wish = Some(Wish::Runs),
            Ask::Stop(_) if unrivalled && (shown == Status::Stopping || !real) => {
                known.wish = Some(Wish::Rests)
            }
            Ask::Delete(_) => known.deleted = true,
            _ => {}
        }
        None
    }

    fn created(&mut self, view: &View, said: &Said, runs: impl Fn(&EngineId) -> bool) -> Option<String> {
        let container = &view.container;
        if container.owner_says != *said {
            return Some(format!(
                "{} was made with {said:?} and has {:?}",
                container.key, container.owner_says
            ));
        }
        let (Some(id), Some(body)) = (&container.container_id, &container.engine_id) else {
            return Some("a create was answered without an id".to_owned());
        };
        self.know(view);
        if let Some(known) = self.known.get_mut(id.as_str()).filter(|known| known.others == 0 && runs(body)) {
            known.wish = Some(Wish::Runs);
        }
        let running = matches!(container.phase, Phase::Running { .. });
        (!running).then(|| format!("{body} was created and is {:?}", container.phase))
    }

    /// Learns of a container from a list, as a client does whose create was cut off.
    fn know(&mut self, view: &View) {
        let container = &view.container;
        let (Some(id), Some(body)) = (&container.container_id, &container.engine_id) else { return };
        self.known.entry(id.to_string()).or_insert_with(|| Known {
            body: body.clone(),
            address: container.address,
            ports: container.ports().collect(),
            wish: None,
            others: 0,
            under_way: 0,
            deletion_asked: false,
            deleted: false,
            expired: false,
            said: Some(container.owner_says.clone()),
            saying: 0,
        });
    }

    /// Somebody else started, stopped or removed it, or it ended.
    pub fn behind_our_back(&mut self, body: &EngineId) {
        for known in self.known.values_mut().filter(|known| known.body == *body) {
            known.others += 1;
            known.wish = None;
        }
    }

    /// The program ended: nobody is answered any more.
    pub fn cut_off(&mut self) {
        self.asked.clear();
        for known in self.known.values_mut() {
            // What was being said may be on disk or not.
            known.said.take_if(|_| known.saying > 0);
            (known.under_way, known.saying) = (0, 0);
        }
    }

    /// Somebody has asked for it to be frozen, and waits for that.
    pub fn wants_frozen(&self, body: &EngineId) -> bool {
        self.asks(|what| matches!(what, Ask::Freeze(id) if self.is_body_of(id, body)))
    }

    /// Somebody has asked for it to run, and waits for that.
    pub fn wants_started(&self, body: &EngineId) -> bool {
        self.asks(|what| matches!(what, Ask::Start(id) if self.is_body_of(id, body)))
    }

    fn asks(&self, this: impl Fn(&Ask) -> bool) -> bool {
        self.asked.values().any(|asked| this(&asked.what))
    }

    fn is_body_of(&self, id: &str, body: &EngineId) -> bool {
        self.known.get(id).is_some_and(|known| known.body == *body)
    }

    /// It is deleted since its time is over. Whether that is right is judged elsewhere.
    pub fn expires(&mut self, body: &EngineId) -> bool {
        let known = self.known.values_mut().find(|known| known.body == *body && !known.deletion_asked);
        known.map(|known| known.expired = true).is_some()
    }

    pub fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Those that a client may ask for something.
    pub fn ids(&self) -> Vec<String> {
        self.known.iter().filter(|(_, known)| !known.deleted).map(|(id, _)| id.clone()).collect()
    }

    /// Every wait ends.
    pub fn overdue(&self, now: Duration) -> Vec<String> {
        let late = self.asked.values().filter(|asked| now.saturating_sub(asked.since) > asked.what.within());
        late.map(|asked| format!("{:?} has waited since {:?}", asked.what, asked.since)).collect()
    }

    /// What was told holds on the list.
    pub fn check_list(&mut self, control: &Control) -> Vec<String> {
        let listed = control.list();
        let id =
            |view: &View| view.container.container_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let shown: BTreeSet<String> = listed.iter().map(|view| id(view)).collect();
        let mut complaints = Vec::new();
        for (id, known) in &self.known {
            match shown.contains(id) {
                true if known.deleted => complaints.push(format!("{id} was deleted and is listed")),
                false if !known.deletion_asked && !known.expired => {
                    complaints.push(format!("{id} was told of and is not listed"))
                }
                _ => {}
            }
        }
        for view in &listed {
            let said =
                self.known.get(&id(view)).and_then(|known| known.said.as_ref().filter(|_| known.saying == 0));
            if said.is_some_and(|said| *said != view.container.owner_says) {
                complaints.push(format!(
                    "{}'s owner said {said:?}, and it has {:?}",
                    id(view),
                    view.container.owner_says
                ));
            }
        }
        for view in listed.iter().filter(|view| matches!(view.container.phase, Phase::Running { .. })) {
            self.know(view);
            let known = &self.known[&id(view)];
            let ports: Vec<u16> = view.container.ports().collect();
            if (&known.ports, known.address) != (&ports, view.container.address) {
                complaints.push(format!("{} has other addresses than before", id(view)));
            }
        }
        complaints
    }

    /// What was told holds at rest.
    pub fn check_wishes(&self, control: &Control) -> Vec<String> {
        let mut complaints = Vec::new();
        for view in control.list() {
            let Some(id) = &view.container.container_id else { continue };
            let wish = self.known.get(id.as_str()).and_then(|known| known.wish);
            let status = view.container.phase.status();
            match wish {
                Some(Wish::Runs) if status != Status::Running => {
                    complaints.push(format!("{id} was told to run and is {status:?}: {:?}", view.failure()));
                }
                Some(Wish::Rests) if status != Status::Stopped => {
                    complaints.push(format!("{id} was told to stop and is {status:?}"));
                }
                _ => {}
            }
        }
        complaints
    }
}
