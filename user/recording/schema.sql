-- SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
--
-- The schema of a recording. Comments stand inside the statements, since SQLite keeps those:
-- `sqlite3 x.apdb .schema` prints this documentation.
--
-- A change to a table is a new version (PRAGMA user_version); a view may be added without one.

CREATE TABLE run (
	-- The run as a whole. One row.
	-- PRAGMA application_id says that the file is a recording, PRAGMA user_version which
	-- version of this schema it has. All times are integers: *_unix_ns since 1970, *_ns long.
	version       TEXT NOT NULL,     -- of asyncprof
	start_unix_ns INTEGER NOT NULL,  -- when every probe was live
	last_unix_ns  INTEGER NOT NULL,  -- of the last commit; there is one a second
	complete      INTEGER NOT NULL,  -- 0: cut, asyncprof was killed, the disk was full, or it still runs
	tier          TEXT NOT NULL,     -- 'exact'
	threshold_ns  INTEGER NOT NULL,  -- from here on a callback is a stall
	period_ns     INTEGER NOT NULL   -- of the tick: what one sample on the CPU weighs
);

CREATE TABLE machine (
	-- Where it was recorded. One row.
	kernel      TEXT,  -- release
	description TEXT   -- architecture and CPUs
);

CREATE TABLE degraded (
	-- What this run could not see, in words.
	id      INTEGER PRIMARY KEY,
	process INTEGER REFERENCES processes,  -- one that joined; NULL: the run as it began
	reason  TEXT NOT NULL
);

CREATE TABLE tiers (
	-- Which tier ran from when on.
	since_unix_ns INTEGER PRIMARY KEY,
	tier          TEXT NOT NULL
);

CREATE TABLE processes (
	-- Who was recorded.
	id       INTEGER PRIMARY KEY,  -- from 1 on, without gaps, as all ids here
	pid      INTEGER NOT NULL,
	comm     TEXT,
	python   TEXT,                 -- version of its interpreter: '3.11.2'
	exe      TEXT,                 -- path of its interpreter
	stripped INTEGER,              -- 1: the interpreter has no symbols
	at_start INTEGER NOT NULL,     -- 1: known when the run began, 0: came later
	parent   INTEGER,              -- pid of who started it, of one that joined the run (-s)
	joined_unix_ns INTEGER         -- and from when on it was watched
);

CREATE TABLE threads (
	-- A thread; one that runs several event loops one after the other has a row for each.
	id      INTEGER PRIMARY KEY,
	process INTEGER NOT NULL REFERENCES processes,
	tid     INTEGER NOT NULL,
	comm    TEXT NOT NULL,
	plain   INTEGER NOT NULL,  -- 1: it runs no event loop: an executor's, or another
	loop    INTEGER            -- address of its loop object
);

CREATE TABLE tasks (
	-- What a loop ran. Tasks that have no name but asyncio's own, 'Task-7', share the row
	-- of their coroutine: a server makes millions of them.
	id       INTEGER PRIMARY KEY,
	kind     TEXT NOT NULL,     -- 'task', 'callback', 'signal'; 'iteration': the loop's own work
	task     TEXT,              -- its name; NULL: unnamed, or not known
	unnamed  INTEGER NOT NULL,  -- 1: the name was asyncio's own
	coro     TEXT,              -- qualified name of the task's coroutine
	callback TEXT               -- qualified name, where there is no task
);

CREATE TABLE frames (
	-- A line of code, or what stands for one.
	id   INTEGER PRIMARY KEY,
	kind TEXT NOT NULL,  -- 'python'; 'native': C; 'kernel'; 'wait': what it waits for
	func TEXT,           -- qualified name; symbol; 'recvfrom'
	file TEXT,           -- co_filename; library; path or peer that it waits for
	line INTEGER
);

CREATE TABLE stacks (
	-- A stack is its leaf: a frame, and the stack that called it. View `folded` has the text.
	id     INTEGER PRIMARY KEY,
	parent INTEGER REFERENCES stacks,  -- lower than id; NULL: this frame is the outermost one
	frame  INTEGER NOT NULL REFERENCES frames
);

CREATE TABLE points (
	-- What time is added up by: who, where, and how it was spent.
	id     INTEGER PRIMARY KEY,
	thread INTEGER NOT NULL REFERENCES threads,
	task   INTEGER REFERENCES tasks,   -- NULL: a plain thread
	stack  INTEGER REFERENCES stacks,  -- NULL: none was taken
	kind   TEXT NOT NULL,              -- 'cpu': sampled. Measured: 'blocked'; 'runqueue': it could
	                                   -- run, others had the CPU; 'idle': the loop's own poll
	cause  TEXT NOT NULL,              -- 'cpu', 'sleep', 'socket', 'gil', ...
	cut    INTEGER NOT NULL            -- 1: the stack is not whole
);

CREATE TABLE samples (
	-- The time itself, added up by second and point. The view `detail` joins it all.
	second INTEGER NOT NULL,  -- since run.start_unix_ns; the one in which its end was seen
	point  INTEGER NOT NULL REFERENCES points,
	ns     INTEGER NOT NULL,
	cnt    INTEGER NOT NULL   -- samples or waits
);

CREATE TABLE advice (
	-- Well-known cures.
	key  TEXT PRIMARY KEY,  -- 'time.sleep'
	text TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE stalls (
	-- Each callback over the threshold, in the order in which they were reported. The view
	-- `slow` has them in milliseconds, `stall_frames` their stacks.
	seq             INTEGER PRIMARY KEY,
	id              TEXT NOT NULL UNIQUE,
	pid             INTEGER NOT NULL,
	tid             INTEGER NOT NULL,
	comm            TEXT NOT NULL,  -- of the thread
	loop            INTEGER,        -- address of the loop object
	kind            TEXT NOT NULL,  -- 'task', 'callback', 'iteration', 'signal'
	task            TEXT,
	coro            TEXT,
	callback        TEXT,
	file            TEXT,           -- of the guilty line
	line            INTEGER,
	ts_unix_ns      INTEGER NOT NULL,  -- when it was reported
	start_unix_ns   INTEGER,           -- NULL: it began before asyncprof came
	duration_ns     INTEGER,           -- upper bound; NULL: not known
	duration_lo_ns  INTEGER NOT NULL,  -- lower bound
	suspended_ns    INTEGER NOT NULL,  -- not part of the duration: an inner run of the same loop
	at_attach       INTEGER NOT NULL,  -- 1: open already when asyncprof came
	ongoing         INTEGER NOT NULL,  -- 1: it had not ended yet
	exited          INTEGER NOT NULL,  -- 1: ended because its thread or process did
	exact           INTEGER NOT NULL,
	eager           INTEGER NOT NULL,
	callbacks       INTEGER,        -- of an iteration: how many it ran
	cause           TEXT NOT NULL,
	causes          TEXT NOT NULL,  -- all within 20 % of the largest: 'sleep,cpu'
	syscall         TEXT,
	native_sleep    INTEGER NOT NULL,  -- 1: a sleep, but not time.sleep()'s
	fd              INTEGER,
	fd_kind         TEXT,           -- 'socket', 'file', ...
	path            TEXT,
	peer            TEXT,
	holder_known    INTEGER NOT NULL,  -- 1: who held the GIL is known, its tid or its frame
	holder_tid      INTEGER,
	holder_comm     TEXT,
	holder_func     TEXT,
	holder_file     TEXT,
	holder_line     INTEGER,
	-- Where the time went; NULL: not measured apart. The parts add up to the duration.
	budget_known    INTEGER NOT NULL,
	cpu_ns          INTEGER,
	gc_ns           INTEGER,
	syscall_ns      INTEGER,
	lock_ns         INTEGER,
	gil_ns          INTEGER,
	runqueue_ns     INTEGER,
	throttled_ns    INTEGER,
	steal_ns        INTEGER,
	fault_ns        INTEGER,
	other_ns        INTEGER,
	sampled         TEXT NOT NULL,     -- the parts that come from samples: 'gc'
	samples         INTEGER NOT NULL,  -- samples that saw it run
	stack           INTEGER REFERENCES stacks,
	stack_at_ns     INTEGER,           -- since the start; NULL: no stack
	stack_reason    TEXT,              -- why there is none, or why it is cut
	advice          TEXT REFERENCES advice
);

CREATE TABLE sources (
	-- Lines of source that stalls stood on, as the process itself read its files then.
	pid  INTEGER NOT NULL,
	file TEXT NOT NULL,
	line INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (pid, file, line)
) WITHOUT ROWID;

CREATE TABLE losses (
	-- What did not fit or did not arrive. None: nothing was lost.
	what    TEXT PRIMARY KEY,
	cnt     INTEGER NOT NULL,
	meaning TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE summary (
	-- What asyncprof knew of itself at the end, or, in a recording that was cut, when it last
	-- said so. One row or none.
	unix_ns           INTEGER NOT NULL,
	duration_ns       INTEGER NOT NULL,
	tier              TEXT NOT NULL,
	interim           INTEGER NOT NULL,
	hit_ns            INTEGER,  -- calibrated cost of one hit
	overhead_ns       INTEGER,  -- estimated: all hits times their cost
	events_lost       INTEGER NOT NULL,
	malformed         INTEGER NOT NULL,
	stalls            INTEGER NOT NULL,
	evicted_codes     INTEGER NOT NULL,  -- forgotten for lack of room
	evicted_callbacks INTEGER NOT NULL,
	evicted_loops     INTEGER NOT NULL
);

CREATE TABLE records (
	-- Records from the kernel side, by their number: attempted = dropped + sent, and
	-- sent = received without what the collector made itself.
	kind        INTEGER PRIMARY KEY,
	attempted   INTEGER NOT NULL,
	dropped     INTEGER NOT NULL,
	synthesised INTEGER NOT NULL,
	received    INTEGER NOT NULL
);

CREATE TABLE loops (
	-- Threads that ran event loops, as the summary has them.
	id              INTEGER PRIMARY KEY,
	pid             INTEGER NOT NULL,
	tid             INTEGER NOT NULL,
	address         INTEGER,           -- of the last loop object seen
	comm            TEXT NOT NULL,
	gone            INTEGER NOT NULL,  -- 1: the thread ended
	stalls          INTEGER NOT NULL,  -- that ended
	stalled_ns      INTEGER NOT NULL,
	ongoing         INTEGER NOT NULL,  -- that had not
	places_overflow INTEGER NOT NULL   -- stalls whose place found no room
);

CREATE TABLE places (
	-- Where the stalls of a loop were.
	id       INTEGER PRIMARY KEY,
	loop     INTEGER NOT NULL REFERENCES loops,
	title    TEXT NOT NULL,
	file     TEXT,
	line     INTEGER,
	kind     TEXT NOT NULL,
	cause    TEXT NOT NULL,
	cnt      INTEGER NOT NULL,
	total_ns INTEGER NOT NULL,
	max_ns   INTEGER NOT NULL
);

CREATE TABLE accounts (
	-- What the kernel side counted: hits = the sum of closed_* and ignored_*, and open.
	loop               INTEGER PRIMARY KEY,  -- REFERENCES loops; 0: of no loop
	hits               INTEGER NOT NULL,     -- callbacks that began
	closed_open        INTEGER NOT NULL,     -- by what ended them: always 0
	closed_next        INTEGER NOT NULL,     -- the next callback of the same iteration
	closed_sweep       INTEGER NOT NULL,     -- the same, by the frame chain
	closed_poll        INTEGER NOT NULL,     -- the loop polled
	closed_poll_sweep  INTEGER NOT NULL,     -- the same, by the frame chain
	closed_loop        INTEGER NOT NULL,     -- the loop ended, or another began
	closed_exit        INTEGER NOT NULL,     -- the thread exited
	closed_exec        INTEGER NOT NULL,     -- the process called exec
	closed_sample      INTEGER NOT NULL,     -- a sample saw it over
	closed_stale       INTEGER NOT NULL,     -- its frame's memory was used again
	closed_left        INTEGER NOT NULL,     -- uvloop said so itself
	ignored_caller     INTEGER NOT NULL,     -- no event loop called it
	ignored_unreadable INTEGER NOT NULL,     -- the caller could not be read
	ignored_full       INTEGER NOT NULL,     -- too many open at once
	ignored_no_thread  INTEGER NOT NULL,     -- no room for its thread
	open               INTEGER NOT NULL,
	attach_opened      INTEGER NOT NULL,     -- open when asyncprof came, not in hits
	attach_closed      INTEGER NOT NULL,
	signal_opened      INTEGER NOT NULL,     -- signal handlers inside the poll, not in hits
	signal_closed      INTEGER NOT NULL,
	iterations         INTEGER NOT NULL,
	busy_ns            INTEGER NOT NULL,     -- between polls
	idle_ns            INTEGER NOT NULL,     -- inside polls
	queued_ns          INTEGER NOT NULL,     -- of that, woken and without a CPU yet
	polls              INTEGER NOT NULL,
	switches           INTEGER NOT NULL,
	ticks              INTEGER NOT NULL,
	ticks_busy         INTEGER NOT NULL,
	task_deaths        INTEGER NOT NULL,
	loop_calls         INTEGER NOT NULL,
	foreign_hits       INTEGER NOT NULL      -- probes of uvloop's that began no callback
);

CREATE VIEW about AS
	-- The run in one row, for people.
	SELECT datetime(start_unix_ns / 1000000000, 'unixepoch') AS start_utc,
	       round(coalesce(duration_ns, last_unix_ns - start_unix_ns) / 1e9, 3) AS seconds,
	       CASE complete WHEN 1 THEN 'complete' ELSE 'cut' END AS state,
	       run.tier AS tier,
	       threshold_ns / 1e6 AS threshold_ms,
	       (SELECT group_concat(pid, ' ') FROM processes) AS pids,
	       (SELECT count(*) FROM stalls) AS stalls,
	       (SELECT coalesce(sum(cnt), 0) FROM losses) AS lost,
	       kernel, description AS machine, version AS asyncprof
	FROM run LEFT JOIN machine LEFT JOIN summary;

CREATE VIEW detail AS
	-- Every row of time with its names. Its stack: JOIN folded USING (stack).
	SELECT second, pid, tid, threads.comm AS thread, plain, tasks.kind AS what, task_name AS task,
	       coro, callback, points.kind AS kind, cause, stack, ns, cnt
	FROM samples
	JOIN points ON points.id = samples.point
	JOIN threads ON threads.id = points.thread
	JOIN processes ON processes.id = threads.process
	LEFT JOIN (SELECT id, kind, task AS task_name, coro, callback FROM tasks) AS tasks
	     ON tasks.id = points.task;

CREATE VIEW timeline AS
	-- Seconds of thread time in each second of the run.
	SELECT second,
	       round(total(ns) FILTER (WHERE kind = 'cpu') / 1e9, 3) AS cpu_s,
	       round(total(ns) FILTER (WHERE kind = 'blocked') / 1e9, 3) AS blocked_s,
	       round(total(ns) FILTER (WHERE kind = 'runqueue') / 1e9, 3) AS runqueue_s,
	       round(total(ns) FILTER (WHERE kind = 'idle') / 1e9, 3) AS idle_s
	FROM samples JOIN points ON points.id = samples.point
	GROUP BY second ORDER BY second;

CREATE VIEW top_tasks AS
	-- Who took the time, the idle loop left out.
	SELECT coalesce(task_name, coro, callback, tasks.kind, 'thread ' || threads.comm) AS name,
	       coro,
	       round(total(ns) / 1e9, 3) AS total_s,
	       round(total(ns) FILTER (WHERE points.kind = 'cpu') / 1e9, 3) AS cpu_s,
	       round(total(ns) FILTER (WHERE points.kind = 'blocked') / 1e9, 3) AS blocked_s,
	       round(total(ns) FILTER (WHERE points.kind = 'runqueue') / 1e9, 3) AS runqueue_s
	FROM (SELECT point, sum(ns) AS ns FROM samples GROUP BY point) AS sums
	JOIN points ON points.id = sums.point
	JOIN threads ON threads.id = points.thread
	LEFT JOIN (SELECT id, kind, task AS task_name, coro, callback FROM tasks) AS tasks
	     ON tasks.id = points.task
	WHERE points.kind <> 'idle'
	GROUP BY 1, 2 ORDER BY total(ns) DESC;

CREATE VIEW top_functions AS
	-- Functions by their own time, and with all they called; the idle loop left out.
	WITH RECURSIVE
	spent(stack, ns) AS (
		SELECT stack, sum(ns) FROM samples JOIN points ON points.id = samples.point
		WHERE kind <> 'idle' AND stack IS NOT NULL GROUP BY stack),
	up(leaf, stack, ns) AS (
		SELECT stack, stack, ns FROM spent
		UNION ALL
		SELECT leaf, parent, ns FROM up JOIN stacks ON stacks.id = up.stack
		WHERE parent IS NOT NULL),
	-- A function that calls itself counts once in each stack.
	once(leaf, kind, func, file, self, ns) AS (
		SELECT leaf, kind, func, file, max(leaf = up.stack), ns
		FROM up JOIN stacks ON stacks.id = up.stack JOIN frames ON frames.id = stacks.frame
		GROUP BY leaf, kind, func, file)
	SELECT func, file, kind, round(total(self * ns) / 1e9, 3) AS self_s,
	       round(total(ns) / 1e9, 3) AS total_s
	FROM once GROUP BY kind, func, file ORDER BY total(self * ns) DESC;

CREATE VIEW folded AS
	-- Each stack as text, outermost frame first: 'main (app.py:3);fetch (db.py:17)'.
	WITH RECURSIVE
	label(frame, text) AS (
		SELECT id, coalesce(func, '?') || CASE
			WHEN file IS NULL THEN ''
			WHEN kind = 'python' THEN ' (' || replace(file,
				rtrim(file, replace(file, '/', '')), '') || coalesce(':' || line, '') || ')'
			ELSE ' ' || file END
		FROM frames),
	up(stack, parent, text) AS (
		SELECT id, parent, text FROM stacks JOIN label ON label.frame = stacks.frame
		UNION ALL
		SELECT up.stack, stacks.parent, label.text || ';' || up.text
		FROM up JOIN stacks ON stacks.id = up.parent JOIN label ON label.frame = stacks.frame)
	SELECT stack, text FROM up WHERE parent IS NULL;

CREATE VIEW slow AS
	-- Stalls in milliseconds.
	SELECT seq, id, datetime(ts_unix_ns / 1000000000, 'unixepoch') AS ts_utc, pid, tid, kind, task,
	       coalesce(coro, callback) AS what, cause, syscall, coalesce(path, peer) AS waits_for,
	       file, line, duration_ns / 1e6 AS duration_ms, duration_lo_ns / 1e6 AS duration_lo_ms,
	       ongoing, cpu_ns / 1e6 AS cpu_ms, gc_ns / 1e6 AS gc_ms, syscall_ns / 1e6 AS syscall_ms,
	       lock_ns / 1e6 AS lock_ms, gil_ns / 1e6 AS gil_ms, runqueue_ns / 1e6 AS runqueue_ms,
	       throttled_ns / 1e6 AS throttled_ms, steal_ns / 1e6 AS steal_ms,
	       fault_ns / 1e6 AS fault_ms, other_ns / 1e6 AS other_ms
	FROM stalls ORDER BY seq;

CREATE VIEW stall_frames AS
	-- The stack of each stall: depth 0 is the leaf.
	WITH RECURSIVE up(seq, depth, stack) AS (
		SELECT seq, 0, stack FROM stalls WHERE stack IS NOT NULL
		UNION ALL
		SELECT seq, depth + 1, parent FROM up JOIN stacks ON stacks.id = up.stack
		WHERE parent IS NOT NULL)
	SELECT seq, depth, func, file, line
	FROM up JOIN stacks ON stacks.id = up.stack JOIN frames ON frames.id = stacks.frame
	ORDER BY seq, depth;
