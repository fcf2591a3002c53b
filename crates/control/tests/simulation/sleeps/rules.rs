//! What must hold of sleep: what may freeze, what must not stay frozen, what must not stay awake.

use super::*;

impl Sleeps {
    /// The control freezes it by itself.
    pub fn may_freeze(&self, body: &EngineId, world: &World) -> Option<String> {
        let now = world.now();
        let key = self.bodies.iter().find(|(_, its)| *its == body)?.0;
        let policy = &world.policies.of(key);
        let run = self.runs.get(key).filter(|run| !run.doubted)?;
        let awake_since = self.thawed.get(body).copied().unwrap_or_default().max(run.since);
        let mut program = world.program(body).unwrap_or_default();
        program.work = program.work.map(|work| Work { since: work.since.max(awake_since), ..work });
        let why = self.keeps(run, &program, (awake_since, now), policy)?;
        Some(format!("{key} is frozen, and {why}"))
    }

    fn keeps(
        &self,
        run: &Run,
        program: &Program,
        (awake_since, now): (Duration, Duration),
        policy: &IdlePolicy,
    ) -> Option<String> {
        let ago = |at: Duration| now.saturating_sub(at);
        let steady = |at: Duration| at < now && self.clock_moved + 2 * SLACK < at;
        let Some(after) = freezes_after(policy) else { return Some("its policy says never".to_owned()) };
        let unsaid = policy.freeze_after == FreezeAfter::Unsaid;
        let reported = run.reported.filter(|(at, _)| *at < now && policy.activity.check_ins());
        let first_look = run.since + policy.initial_timeout_interval;
        let as_ever = run.changed < run.since;
        let visits = unsaid && !run.visited && first_look > now + SLACK && steady(run.since) && as_ever;
        let asked = run.requests.values().map(|request| request.asked);
        let owed = asked.max().filter(|at| *at + policy.owed_for > now + SLACK && steady(*at));
        // What was frozen by an earlier policy, and has only breathed, stays so.
        let breathed = awake_since + A_BREATH > now;
        let used = run.used.filter(|at| policy.activity.traffic() && (*at > run.changed || !breathed));
        let used = used.filter(|at| *at + after > now + SLACK && steady(*at));
        let window = after * 2 + LATE;
        let busy = program.work.filter(|work| {
            let most = policy.busy_cpu.map_or(u32::MAX, |most| most.saturating_mul(4));
            work.share > most && work.since + window < now && now < work.until
        });
        let ttl = policy.check_in_ttl;
        let counts = reported.filter(|(at, counts)| {
            *counts && ttl.is_none_or(|ttl| *at + ttl > now + RECORDED_WITHIN) && steady(*at)
        });
        match () {
            () if visits => Some("nobody has connected yet, and no look has been".to_owned()),
            () if unsaid && reported.is_some() => Some("it reports for itself".to_owned()),
            () if counts.is_some() => Some(format!("it checked in: {counts:?}")),
            () if owed.is_some() => Some(format!("an answer is owed since {:?}", owed.map(ago))),
            () if used.is_some() => Some(format!("it was used {:?} ago", used.map(ago))),
            () if busy.is_some() => Some("it works".to_owned()),
            () => None,
        }
    }

    /// What nobody thaws now that the program has ended, unless the engine would not.
    pub fn left_frozen(&self, world: &World) -> Option<String> {
        let ours = self.frozen.iter().filter(|(body, frozen)| {
            world.is_frozen(body) && frozen.whose != Whose::Others && world.thaws_are_sure(body)
        });
        ours.map(|(body, _)| format!("{body} is left frozen by a program that ended in good order")).next()
    }

    /// At any moment.
    pub fn check(&mut self, control: &Control, world: &World) -> Vec<String> {
        let now = world.now();
        self.frozen.retain(|body, _| world.is_frozen(body));
        let ready = control.is_ready();
        // It may be followed and answer nothing else.
        let follows = if world.weather.unrest { world.is_followed() } else { ready };
        self.unfollowed = if follows { None } else { self.unfollowed.or(Some(now)) };
        let is_noisy = !world.weather.is_calm() || !ready;
        if std::mem::replace(&mut self.was_away, !ready) || !ready {
            self.away = now;
        }
        if std::mem::replace(&mut self.was_noisy, is_noisy) || is_noisy {
            self.noisy = now;
        }
        let late = self.waiting.values().filter(|(_, since)| *since + WOKEN_WITHIN < now);
        let mut complaints: Vec<String> =
            late.map(|(of, since)| format!("somebody waits for {of} to wake since {since:?}")).collect();
        for view in control.list() {
            let Phase::Running { sleep, .. } = view.container.phase else { continue };
            let (Some(body), Some(run)) =
                (view.container.engine_id.as_ref(), self.runs.get(&view.container.key))
            else {
                continue;
            };
            let complaint = match (sleep, world.is_frozen(body)) {
                (Sleep::Frozen { by }, true) => self.sleeps_too_well(run, &view, body, by, world),
                (Sleep::Awake, true) => self.is_thought_awake(run, body, now),
                (Sleep::Awake, false) => self.stays_awake(run, &view, body, world),
                _ => None,
            };
            complaints.extend(complaint.map(|why| format!("{} {why}", view.container.key)));
        }
        complaints
    }

    fn is_over(&self, cause: Duration, now: Duration) -> bool {
        let calm = self.noisy < now;
        if calm { cause.max(self.noisy) + SOON < now } else { cause + FAULTS < now }
    }

    /// It is frozen, and the control knows.
    fn sleeps_too_well(
        &self,
        run: &Run,
        view: &View,
        body: &EngineId,
        by: Freezer,
        world: &World,
    ) -> Option<String> {
        let (now, policy) = (world.now(), &world.policies.of(&view.container.key));
        let frozen = self.frozen.get(body)?;
        let program = world.program(body)?;
        let is_its = frozen.whose == Whose::Its;
        let over = |cause: Duration| !world.weather.is_blind() && self.is_over(cause.max(frozen.since), now);
        let counts = run.reported.filter(|(at, counts)| {
            let ttl = policy.check_in_ttl;
            *counts && policy.activity.check_ins() && ttl.is_none_or(|ttl| *at + ttl > now + RECORDED_WITHIN)
        });
        let mailed = program.mail.map(|mail| mail.since);
        let by_group = by == Freezer::Cgroup;
        // An engine that went away does not thaw what it paused, and runs no command in it either.
        let can_exec = |at: Duration| by_group || at > self.away;
        let runs_command = program.exec.filter(|at| program.is_heard && can_exec(*at)).is_some_and(over);
        let is_to_end =
            program.told_to_end.filter(|at| *at > self.launched && program.is_heard).is_some_and(over);
        // After a crash, who had it frozen is not known.
        let never = frozen.since > self.launched && freezes_after(policy).is_none() && over(run.changed);
        let checked_in = counts.is_some_and(|(at, _)| over(at.max(run.changed)) && !run.doubted);
        let froze_with_mail = mailed.is_some_and(|at| at <= frozen.since && over(frozen.since));
        let found_with_mail =
            mailed.is_some_and(|at| at.max(frozen.since) < self.launched && over(self.launched));
        let alone = view.failure().is_none() && self.is_left_alone(frozen, now);
        let breathless = policy.breathe && self.waits_for_a_breath(run, now);
        let wrong = [
            (is_its && runs_command, "is frozen, and somebody runs a command in it"),
            (by_group && is_to_end, "is to end, and stays frozen"),
            (is_its && by_group && never, "is frozen, and its policy says never"),
            (is_its && checked_in, "is frozen, and has checked in"),
            (is_its && froze_with_mail, "froze with mail in its sockets"),
            (found_with_mail, "was found frozen with mail in its sockets"),
            (is_its && by_group && alone, "is frozen, and nobody follows the engine"),
            (is_its && breathless, "is frozen, and did not breathe while an answer in it was due"),
        ];
        let told = wrong.into_iter().find_map(|(is_so, what)| is_so.then(|| what.to_owned()));
        told.or_else(|| self.bytes_wait(run, frozen, view, now, policy))
    }

    /// A tenth late at most.
    fn waits_for_a_breath(&self, run: &Run, now: Duration) -> bool {
        run.requests.values().any(|request| {
            let late = SOON.max((now - request.asked) / 10) + SOON;
            request.due.is_some_and(|due| due.max(self.noisy).max(run.changed) + late < now)
        })
    }

    fn is_left_alone(&self, frozen: &Frozen, now: Duration) -> bool {
        self.unfollowed.is_some_and(|since| frozen.since < since && since + SOON < now)
    }

    fn bytes_wait(
        &self,
        run: &Run,
        frozen: &Frozen,
        view: &View,
        now: Duration,
        policy: &IdlePolicy,
    ) -> Option<String> {
        if self.waiting.values().any(|(of, _)| *of == view.container.key) {
            return None;
        }
        let lies = |Request { asked, forwarded, .. }: Request| match frozen.whose {
            Whose::Its if forwarded <= frozen.since => {
                asked + policy.owed_for > frozen.since + SLACK
                    && self.clock_moved + 2 * SLACK < asked
                    && run.changed < frozen.since
            }
            Whose::Asked if forwarded <= frozen.since => false,
            // The engine's pause is seen once the engine answers.
            _ if run.went_on && frozen.since < run.since => false,
            Whose::Its | Whose::Asked => true,
            Whose::Others => false,
        };
        let waits = |it: &&Request| lies(**it) && it.forwarded.max(frozen.since) + A_BYTE_WAITS < now;
        run.requests.values().find(waits).map(|Request { forwarded: at, .. }| {
            format!("is frozen since {:?}, and a byte that was forwarded at {at:?} waits in it", frozen.since)
        })
    }

    /// It is frozen by us, and the control does not know.
    fn is_thought_awake(&self, run: &Run, body: &EngineId, now: Duration) -> Option<String> {
        let frozen = self.frozen.get(body).filter(|frozen| frozen.whose != Whose::Others)?;
        self.is_over(frozen.since.max(run.since), now)
            .then(|| format!("is thought awake, and frozen since {:?}", frozen.since))
    }

    /// What nothing keeps awake freezes in time.
    fn stays_awake(&self, run: &Run, view: &View, body: &EngineId, world: &World) -> Option<String> {
        let (now, policy) = (world.now(), &world.policies.of(&view.container.key));
        let unsaid = policy.freeze_after == FreezeAfter::Unsaid;
        let after = freezes_after(policy)?;
        let container = &view.container;
        if container.check_in != NO_CHECK_IN || (unsaid && container.checked_in_at.is_some()) {
            return None;
        }
        let program = world.program(body)?;
        if program.exec.is_some() || program.mail.is_some() {
            return None;
        }
        let owed = run.requests.values().map(|request| request.asked + policy.owed_for).max();
        let work = program.work.map(|work| work.until + after);
        let unvisited = unsaid.then(|| run.since.max(self.launched) + policy.initial_timeout_interval);
        let ready = container.ready.as_ref().map(|_| run.since.max(self.launched) + READY_WITHIN);
        let keepers = [owed, work, unvisited, ready, Some(run.maybe + after), Some(run.since + after)];
        let due = keepers.into_iter().flatten().max()?;
        let late = if self.noisy < now { due.max(self.noisy) + LATE } else { due.max(self.away) + FAULTS };
        (late < now).then(|| format!("stays awake, and nothing keeps it so since {due:?}: {:?}", view.kept))
    }
}

/// None where it does not freeze by itself, its own reports apart.
fn freezes_after(policy: &IdlePolicy) -> Option<Duration> {
    match policy.freeze_after {
        FreezeAfter::Off => None,
        FreezeAfter::After(after) => Some(after),
        FreezeAfter::Unsaid if policy.disable_timeouts => None,
        FreezeAfter::Unsaid => Some(FreezeAfter::UNSAID),
    }
}
