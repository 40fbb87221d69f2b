//! The steps that Redis does as one, in Lua. Time is Redis's own: the hosts' clocks do not matter.
//!
//! `KEYS[1]` is the lease, a hash: `owner` and `fence` of the newest lease, `until` when it counts
//! as held (0 once it was given back), and `span`, how long each heartbeat keeps it. `KEYS[2]` is
//! the record, a hash: `record` and `saved`, the time of its last save. Times are milliseconds
//! since 1970.

/// What every script begins with.
macro_rules! script {
    ($body:literal) => {
        concat!(
            "local time = redis.call('TIME')\n",
            "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n",
            $body
        )
    };
}

/// Takes the lease. `ARGV`: owner, span, how long to keep the hash. Returns `{1, fence}`, or
/// `{0, left}` when it is held for `left` ms more. Asked again by the same owner, it is given
/// again: a response may have been lost. Not once that owner gave it back: that question comes
/// late, and no caller waits for its response.
///
/// A lease that has longer to go than its span was taken before Redis's clock was set back: it is
/// over.
pub(crate) const TAKE: &str = script!(
    "local held = redis.call('HMGET', KEYS[1], 'owner', 'until', 'fence', 'span')
local fence = tonumber(held[3] or 0)
if held[1] == ARGV[1] then
  if held[2] == '0' then return {0, 0} end
else
  local left = tonumber(held[2] or 0) - now
  if left > 0 and left <= tonumber(held[4] or 0) then return {0, left} end
  fence = fence + 1
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', fence)
redis.call('HSET', KEYS[1], 'until', now + ARGV[2], 'span', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, fence}"
);

/// Keeps the lease for another span. `ARGV`: owner, fence. Returns 0 when it is not that owner's
/// any more, or was given back: a heartbeat that was sent again may come after the release.
pub(crate) const BEAT: &str = script!(
    "local held = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'until', 'span')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] or held[3] == '0' then return 0 end
redis.call('HSET', KEYS[1], 'until', now + held[4])
return 1"
);

/// Returns the record and its age in ms, or nothing.
pub(crate) const LOAD: &str = script!(
    "local kept = redis.call('HMGET', KEYS[2], 'record', 'saved')
if not kept[1] then return false end
return {kept[1], math.max(0, now - tonumber(kept[2] or 0))}"
);

/// Replaces the record, if the lease was not released and no other holder has taken it since.
/// `ARGV`: owner, fence, record, how long to keep it, how long to keep the lease. Returns 0
/// otherwise, and then nothing was changed.
pub(crate) const SAVE: &str = script!(
    "local held = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'until')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] or held[3] == '0' then return 0 end
redis.call('HSET', KEYS[2], 'record', ARGV[3], 'saved', now)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1"
);

/// Gives the lease back, if it is still that owner's. `ARGV`: owner, fence. The fence stays.
pub(crate) const RELEASE: &str = script!(
    "local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] == ARGV[1] and held[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'until', 0) end
return now"
);
