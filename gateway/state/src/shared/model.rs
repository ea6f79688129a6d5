//! The script of Redis in Rust, for tests: the lease is proven against it, and it against the script.

use super::store::{Answer, Ask, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// All that the store knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    accounts: BTreeMap<String, Account>,
}

#[derive(Debug, Clone, Default)]
struct Account {
    level: i64,
    at: i64,
    most: i64,
    quiet: i64,
    holders: BTreeMap<String, Holder>,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    seq: u64,
    drawn: i64,
    settled: i64,
    ends: i64,
    wants: i64,
}

impl Model {
    /// What the script does at `now`, in microseconds since 1970.
    pub(crate) fn exchange(&mut self, ask: &Ask, now: i64) -> Answer {
        let int = |n: u64| i64::try_from(n).unwrap();
        let (drawn, settled, acked) = (int(ask.drawn), int(ask.settled), int(ask.acked));
        let (least, need, like, most) = (int(ask.least), int(ask.need), int(ask.like), int(ask.most));
        let (every, till) = (int(ask.every_us), int(ask.until_ms));
        let fresh = Account { level: most, at: now, most, ..Account::default() };
        let mut account = self.accounts.get(&ask.key).cloned().unwrap_or(fresh);
        account.level += most - account.most;
        account.most = most;
        let over = |holder: &Holder| every > 0 && holder.ends <= now;
        let mine = account.holders.get(&ask.holder).copied();
        account.holders.retain(|name, holder| *name == ask.holder || !over(holder));
        // Whose lease is over is forgotten whatever becomes of the exchange.
        if let Some(known) = self.accounts.get_mut(&ask.key) {
            known.holders.clone_from(&account.holders);
        }
        let others = || account.holders.iter().filter(|(name, _)| **name != ask.holder).map(|(_, holder)| holder);
        let held: i64 = others().map(|holder| (holder.drawn - holder.settled).max(0)).sum();
        let is_wanted = others().any(|holder| holder.wants > now);
        let answer = |verdict, granted: i64, level, wait: i64, is_wanted| Answer {
            verdict,
            granted: u64::try_from(granted).unwrap(),
            level,
            wait: Duration::from_micros(u64::try_from(wait).unwrap()),
            is_wanted,
            unix_ms: u64::try_from(now / 1000).unwrap(),
        };
        if mine.is_some_and(|mine| ask.seq <= mine.seq) {
            return answer(Verdict::Stale, 0, account.level, 0, false);
        }
        if till > 0 && now >= till * 1000 {
            return answer(Verdict::Over, 0, 0, 0, false);
        }
        let mut base = 0;
        match mine {
            Some(mine) if !over(&mine) => base = mine.drawn,
            _ if every > 0 => base = acked,
            _ if drawn > 0 => account.quiet = now + 1_000_000,
            _ => {}
        }
        account.level -= drawn - base;
        if every > 0 {
            account.level = account.level.max(-most);
            let gained =
                i64::try_from(i128::from((now - account.at).max(0)) * i128::from(most) / i128::from(every)).unwrap();
            if gained > 0 {
                account.level += gained;
                let took = i128::from(gained) * i128::from(every);
                account.at += i64::try_from((took + i128::from(most) - 1) / i128::from(most)).unwrap();
            }
            let cap = most - held - (drawn - settled).max(0);
            if account.level >= cap {
                (account.level, account.at) = (cap, account.at.max(now));
            }
        }
        let (mut granted, mut wait) = (0, 0);
        if now < account.quiet {
            wait = account.quiet - now;
        } else if account.level >= least {
            granted = account.level.min(need.max(like.min(account.level.div_euclid(4))));
        } else if every > 0 {
            let lacking = i128::from(least - account.level) * i128::from(every);
            wait = i64::try_from((lacking + i128::from(most) - 1) / i128::from(most)).unwrap();
        } else {
            wait = till * 1000 - now;
        }
        account.level -= granted;
        let wants = if granted < need { now + 2_000_000 } else { 0 };
        let ends = now + int(ask.hold_ms) * 1000;
        let holder = Holder { seq: ask.seq, drawn: drawn + granted, settled, ends, wants };
        account.holders.insert(ask.holder.clone(), holder);
        let level = account.level;
        self.accounts.insert(ask.key.clone(), account);
        answer(Verdict::Done, granted, level, wait, is_wanted)
    }
}
