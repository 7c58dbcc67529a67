/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What makes the picture answer: zoom, search, tooltips, both ways up. The same for SVG and HTML.
 *
 * It must never take a name for markup (only text nodes, no innerHTML), never fetch anything, and
 * hold nothing that ends a CDATA section or a script element.
 */
(function () {
	'use strict';
	var XHTML = 'http://www.w3.org/1999/xhtml', SVG = 'http://www.w3.org/2000/svg';
	var graph = document.getElementById('graph'), top = document.documentElement;
	var alone = top.namespaceURI === SVG;
	var row = Number(graph.dataset.row), margin = 16;
	/* Frames in the order of a walk from the root: those below i are i + 1 up to last[i]. */
	var frames = [], depth = [], parent = [], last = [], label = [], words = [], now = [], before = [];
	var zoomed = 0, picked = -1, flipped = false, old = false, query = '', hits = null;
	var em = 7.2, compared = false;

	function make(name, attributes, text) {
		var made = document.createElementNS(XHTML, name);
		Object.keys(attributes || {}).forEach(function (key) {
			made.setAttribute(key, attributes[key]);
		});
		if (text !== undefined)
			made.textContent = text;
		return made;
	}

	/* --- What is there --------------------------------------------------------------- */

	function read() {
		var open = [], i, title;
		/* A copy: a live collection is walked anew after each change, 8 s for 12 000 frames. */
		Array.from(graph.children).forEach(function (frame) {
			if (!frame.classList.contains('f'))
				return;
			i = frames.length;
			frame.index = i;
			depth[i] = Math.round(Number(frame.getAttribute('y')) / row);
			open.length = depth[i];
			open.forEach(function (above) { last[above] = i; });
			parent[i] = open.length ? open[open.length - 1] : -1;
			open.push(i);
			last[i] = i;
			now[i] = Number(frame.dataset.t);
			before[i] = Number(frame.dataset.o || 0);
			/* The tooltip takes the title's place: the browser would show both. */
			title = frame.querySelector('title');
			words[i] = title.textContent.split('\n');
			label[i] = words[i][0];
			frame.removeChild(title);
			frames.push(frame);
		});
		compared = frames.length > 0 && frames[0].dataset.o !== undefined;
	}

	function measure() {
		var frame = document.createElementNS(SVG, 'svg'), text = document.createElementNS(SVG, 'text');
		frame.setAttribute('class', 'f');
		text.textContent = 'MMMMMMMMMMMMMMMMMMMM';
		frame.appendChild(text);
		graph.appendChild(frame);
		em = text.getComputedTextLength() / 20 || em;
		graph.removeChild(frame);
	}

	/* --- Where everything goes ------------------------------------------------------- */

	function value(i) {
		return old ? before[i] : now[i];
	}

	function isAbove(i, below) {
		return i <= below && below <= last[i];
	}

	function set(element, name, text) {
		if (element.getAttribute(name) !== text)
			element.setAttribute(name, text);
	}

	function fit(i, px) {
		var room = Math.floor((px - 8) / em), text = frames[i].querySelector('text'), shown = label[i];
		if (room < 2) {
			if (text)
				frames[i].removeChild(text);
			return;
		}
		if (!text) {
			text = document.createElementNS(SVG, 'text');
			text.setAttribute('x', '5');
			text.setAttribute('y', '14');
			frames[i].appendChild(text);
		}
		/* Not in the middle of a pair of surrogates. */
		if (shown.length > room)
			shown = shown.slice(0, room - 1).replace(/[\ud800-\udbff]$/, '') + '\u2026';
		if (text.textContent !== shown)
			text.textContent = shown;
	}

	function layout() {
		var width = alone ? top.clientWidth - 2 * margin : graph.clientWidth || graph.getBoundingClientRect().width;
		var free = [], x, share, px, deepest = 0, i, shown = [];
		for (i = 0; i < frames.length; i++) {
			shown[i] = false;
			if (isAbove(i, zoomed)) {
				x = 0;
				share = 1;
			} else if (isAbove(zoomed, i) && value(zoomed) > 0) {
				x = free[depth[i]];
				share = value(i) / value(zoomed);
			} else {
				continue;
			}
			free[depth[i]] = x + share;
			free[depth[i] + 1] = x;
			px = share * width;
			if (px < 0.05)
				continue;
			shown[i] = true;
			deepest = Math.max(deepest, depth[i]);
			set(frames[i], 'x', (x * 100).toFixed(4) + '%');
			set(frames[i], 'width', (share * 100).toFixed(4) + '%');
			frames[i].classList.toggle('n', px < 3);
			frames[i].classList.toggle('above', i < zoomed && isAbove(i, zoomed));
			fit(i, px);
		}
		for (i = 0; i < frames.length; i++) {
			if (!shown[i]) {
				set(frames[i], 'display', 'none');
				continue;
			}
			frames[i].removeAttribute('display');
			set(frames[i], 'y', String((flipped ? deepest - depth[i] : depth[i]) * row));
		}
		set(graph, 'height', String((deepest + 1) * row));
		if (alone)
			place();
	}

	/* An SVG has no flow: what is above, the graph and what is below, one after the other. */
	function place() {
		var width = Math.max(top.clientWidth, 200), y = 0;
		[head, graph, foot].forEach(function (part) {
			var box = part.firstElementChild;
			set(part, 'x', String(margin));
			set(part, 'width', String(width - 2 * margin));
			set(part, 'y', String(y));
			if (part !== graph)
				set(part, 'height', String(Math.ceil(box.getBoundingClientRect().height)));
			y += Number(part.getAttribute('height'));
		});
		set(top, 'height', String(Math.max(y, window.innerHeight)));
	}

	/* --- Zoom --------------------------------------------------------------------------- */

	function zoom(i) {
		zoomed = i;
		crumbs();
		search(query);
		layout();
		hide();
	}

	function crumbs() {
		var way = [], i, cut;
		for (i = zoomed; i >= 0 && zoomed > 0; i = parent[i])
			way.unshift(i);
		path.textContent = '';
		path.hidden = zoomed === 0;
		reset.disabled = zoomed === 0 && !query;
		/* Of a long way the beginning and the end. */
		cut = way.length > 9 ? way.splice(4, way.length - 8, -1) : null;
		way.forEach(function (at, n) {
			var button;
			if (n)
				path.appendChild(document.createTextNode('\u203a'));
			if (at < 0) {
				path.appendChild(make('span', {}, ' ' + cut.length + ' more '));
			} else if (at === zoomed) {
				path.appendChild(make('b', {}, label[at]));
			} else {
				button = make('button', {type: 'button', title: label[at]}, label[at]);
				button.addEventListener('click', function () { zoom(at); });
				path.appendChild(button);
			}
		});
	}

	/* --- Search ------------------------------------------------------------------------- */

	/* A regular expression, or the very text: "fetch (db.py:17)" is both, and means the second. */
	function matcher(text) {
		var lower = text.toLowerCase(), pattern = null;
		try {
			pattern = new RegExp(text, 'i');
		} catch (error) {
			pattern = null;
		}
		return function (name) {
			return name.toLowerCase().indexOf(lower) >= 0 || (pattern !== null && pattern.test(name));
		};
	}

	function percent(part, whole) {
		var share = whole > 0 ? 100 * part / whole : 0;
		return (share > 0 && share < 0.1 ? share.toFixed(2) : share.toFixed(1)) + ' %';
	}

	/* Time of frames that match, once: what a match calls is its own already. */
	function search(text) {
		var matches = matcher(text), count = 0, all = 0, inside = 0, covered = -1, insideCovered = -1, i;
		query = text;
		reset.disabled = zoomed === 0 && !query;
		graph.classList.toggle('searched', text !== '');
		found.textContent = '';
		for (i = 0; i < frames.length; i++) {
			var hit = text !== '' && matches(label[i]);
			frames[i].classList.toggle('hit', hit);
			if (!hit)
				continue;
			count++;
			if (i > covered) {
				all += value(i);
				covered = last[i];
			}
			if (isAbove(zoomed, i) && i > insideCovered) {
				inside += value(i);
				insideCovered = last[i];
			}
		}
		if (text === '')
			return;
		found.appendChild(make('b', {id: 'share'}, percent(all, value(0))));
		found.appendChild(document.createTextNode(' of all' +
			(zoomed ? ', ' + percent(inside, value(zoomed)) + ' of this,' : '') +
			' in ' + count + (count === 1 ? ' frame' : ' frames')));
	}

	/* --- Tooltips ------------------------------------------------------------------------ */

	function show(i, x, y) {
		var box, left, down;
		tip.textContent = '';
		words[i].forEach(function (line, n) {
			tip.appendChild(make(n ? 'span' : 'b', {}, line));
		});
		if (zoomed && i > zoomed && isAbove(zoomed, i))
			tip.appendChild(make('span', {}, percent(value(i), value(zoomed)) + ' of the frame zoomed to'));
		tip.hidden = false;
		box = tip.getBoundingClientRect();
		left = Math.max(4, Math.min(x + 14, top.clientWidth - box.width - 8));
		down = y + 18 + box.height > window.innerHeight ? Math.max(4, y - box.height - 12) : y + 18;
		if (alone) {
			overlay.setAttribute('x', String(window.scrollX));
			overlay.setAttribute('y', String(window.scrollY));
		}
		tip.style.transform = 'translate(' + Math.round(left) + 'px,' + Math.round(down) + 'px)';
	}

	function hide() {
		tip.hidden = true;
	}

	function indexOf(node) {
		var frame = node && node.closest ? node.closest('.f') : null;
		return frame && frame.index !== undefined ? frame.index : -1;
	}

	/* --- Keys ---------------------------------------------------------------------------- */

	function pick(i) {
		var box;
		if (picked >= 0)
			frames[picked].classList.remove('at');
		picked = i;
		if (i < 0)
			return hide();
		frames[i].classList.add('at');
		box = frames[i].getBoundingClientRect();
		show(i, box.left, box.bottom - 14);
		spoken.textContent = words[i].join(', ');
	}

	function isShown(i) {
		return i >= 0 && frames[i].getAttribute('display') !== 'none';
	}

	/* The next frame that is shown beside i, `step` to the left or right, under the same caller. */
	function sibling(i, step) {
		for (var at = i + step; at > parent[i] && at <= last[Math.max(parent[i], 0)]; at += step) {
			if (parent[at] === parent[i] && isShown(at))
				return at;
		}
		return i;
	}

	function walk(key) {
		var child;
		if (picked < 0 || !isShown(picked))
			return pick(zoomed);
		if (key === 'ArrowLeft' || key === 'ArrowRight')
			return pick(sibling(picked, key === 'ArrowLeft' ? -1 : 1));
		if ((key === 'ArrowUp') === !flipped)
			return pick(Math.max(parent[picked], 0));
		for (child = picked + 1; child <= last[picked]; child++) {
			if (parent[child] === picked && isShown(child))
				return pick(child);
		}
	}

	function onKey(event) {
		var typing = document.activeElement === box;
		if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'f' && !typing ||
		    event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
			box.focus();
			box.select();
		} else if (event.key === 'Escape') {
			if (!typing || !query)
				resetAll();
			clearSearch();
		} else if (document.activeElement === graph && /^Arrow/.test(event.key)) {
			walk(event.key);
		} else if (document.activeElement === graph && event.key === 'Enter' && picked >= 0) {
			zoom(picked);
		} else {
			return;
		}
		event.preventDefault();
	}

	function clearSearch() {
		box.value = '';
		search('');
	}

	function resetAll() {
		pick(-1);
		clearSearch();
		zoom(0);
	}

	/* A name that is cut on the screen is whole on the clipboard. */
	function onCopy(event) {
		var selection = document.getSelection(), from = -1;
		if (selection && selection.anchorNode && selection.focusNode)
			from = indexOf(selection.anchorNode.parentNode);
		if (from < 0 || from !== indexOf(selection.focusNode.parentNode) || !/\u2026$/.test(selection.toString()))
			return;
		event.clipboardData.setData('text/plain',
			label[from].slice(Math.min(selection.anchorOffset, selection.focusOffset)));
		event.preventDefault();
	}

	/* --- What is added to the document --------------------------------------------------- */

	function foreign(id) {
		var made = document.createElementNS(SVG, 'foreignObject');
		made.setAttribute('id', id);
		return made;
	}

	/* The head and the foot of an SVG as HTML, which wraps. */
	function convert() {
		var part = document.getElementById('head'), box = make('div', {}), legend = make('p', {id: 'legend', 'class': 'sub'});
		head = foreign('head');
		foot = foreign('foot');
		box.appendChild(make('h1', {'class': 'title'}, part.querySelector('.title').textContent));
		['total', 'subtitle'].forEach(function (id) {
			var line = part.querySelector('#' + id);
			if (line)
				box.appendChild(make('p', {id: id, 'class': 'sub'}, line.textContent));
		});
		part.querySelectorAll('.key').forEach(function (key) {
			var span = make('span', {'class': 'key'}), swatch = document.createElementNS(SVG, 'svg');
			var rect = key.querySelector('rect');
			swatch.setAttribute('width', '12');
			swatch.setAttribute('height', '12');
			rect.removeAttribute('x');
			rect.removeAttribute('y');
			swatch.appendChild(rect);
			span.appendChild(swatch);
			span.appendChild(document.createTextNode(key.textContent));
			legend.appendChild(span);
		});
		box.appendChild(legend);
		box.setAttribute('style', 'padding-top: 14px');
		head.appendChild(box);
		top.replaceChild(head, part);
		part = document.getElementById('foot');
		box = make('footer', {'class': 'sub', style: 'padding-bottom: 14px'});
		['notes', 'maker'].forEach(function (id) {
			box.appendChild(make('span', {id: id}, part.querySelector('#' + id).textContent));
		});
		foot.appendChild(box);
		top.replaceChild(foot, part);
		top.removeAttribute('viewBox');
		top.setAttribute('width', '100%');
		overlay = foreign('overlay');
		overlay.setAttribute('width', '100%');
		overlay.setAttribute('height', '1');
		overlay.setAttribute('style', 'overflow: visible; pointer-events: none');
		top.appendChild(overlay);
		return head.firstElementChild;
	}

	function button(text, title, act) {
		var made = make('button', {type: 'button', title: title}, text);
		made.addEventListener('click', act);
		bar.appendChild(made);
		return made;
	}

	var head = document.getElementById('head'), foot = null, overlay = null;
	var bar = make('div', {id: 'bar', role: 'toolbar', 'aria-label': 'Search and view'});
	var box = make('input', {id: 'search', type: 'search', placeholder: 'Search  ( / )', spellcheck: 'false',
		autocomplete: 'off', 'aria-label': 'Search names: text or regular expression'});
	var path = make('nav', {id: 'path', 'aria-label': 'Frames above this one'});
	var found = make('span', {id: 'found', role: 'status'});
	var spoken = make('span', {id: 'spoken', role: 'status', style: 'position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)'});
	var tip = make('div', {id: 'tip', role: 'tooltip', hidden: 'hidden'});
	var reset, pending = 0, pointed = false;

	read();
	(alone ? convert() : head).append(bar, path);
	bar.appendChild(box);
	reset = button('Reset', 'Show all again (Esc)', resetAll);
	reset.id = 'reset';
	button('Flame', 'Root at the bottom, or at the top', function () {
		flipped = !flipped;
		this.textContent = flipped ? 'Icicle' : 'Flame';
		layout();
	}).id = 'flip';
	if (compared)
		button('Widths: now', 'Widths by the time now, or before', function () {
			old = !old;
			this.textContent = old ? 'Widths: before' : 'Widths: now';
			zoom(zoomed);
		}).id = 'widths';
	bar.append(found, spoken);
	(alone ? overlay : document.body).appendChild(tip);
	graph.setAttribute('tabindex', '0');

	graph.addEventListener('mousemove', function (event) {
		var i = indexOf(event.target);
		if (i < 0 || event.buttons)
			hide();
		else
			show(i, event.clientX, event.clientY);
	});
	graph.addEventListener('mouseleave', hide);
	graph.addEventListener('click', function (event) {
		var i = indexOf(event.target), selection = document.getSelection();
		/* The end of a selection is no click. */
		if (i < 0 || (selection && !selection.isCollapsed && graph.contains(selection.anchorNode)))
			return;
		zoom(i);
	});
	graph.addEventListener('pointerdown', function () { pointed = true; });
	graph.addEventListener('focus', function () {
		/* The picked frame shows where the keyboard is; the mouse needs no such sign. */
		if (!pointed)
			pick(zoomed);
		pointed = false;
	});
	graph.addEventListener('blur', function () { pick(-1); });
	box.addEventListener('input', function () {
		search(box.value);
		layout();
	});
	document.addEventListener('keydown', onKey);
	document.addEventListener('copy', onCopy);
	window.addEventListener('resize', function () {
		window.cancelAnimationFrame(pending);
		pending = window.requestAnimationFrame(layout);
	});
	measure();
	crumbs();
	layout();
}());
