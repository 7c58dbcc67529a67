# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""SQLAlchemy's asyncio layer on a real database: each of its steps switches greenlets inside a task.

Money goes to and fro between accounts, in tasks that run side by side; no cent may be lost. Prints
what is in the database at the end. Usage: databases.py URL
"""
import asyncio
import sys

from sqlalchemy import Integer, String, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool

import truth

ACCOUNTS = 8
WORKERS = 4
ROUNDS = 16


class Base(DeclarativeBase):
	pass


class Account(Base):
	__tablename__ = "account"
	id: Mapped[int] = mapped_column(Integer, primary_key=True)
	owner: Mapped[str] = mapped_column(String(20), unique=True)
	cents: Mapped[int] = mapped_column(Integer)


async def move(engine, turn, cents):
	"""One transaction; the lower account first, so that none waits for each other."""
	a, b = sorted((turn % ACCOUNTS, (turn * 3 + 1) % ACCOUNTS))
	if a == b:
		return
	async with AsyncSession(engine) as session, session.begin():
		accounts = (await session.scalars(select(Account).where(Account.id.in_((a + 1, b + 1)))
						  .order_by(Account.id).with_for_update())).all()
		accounts[0].cents -= cents
		accounts[1].cents += cents


async def fails(engine, turn):
	"""An error that the driver raises goes through two greenlets, and the session lives on."""
	try:
		async with AsyncSession(engine) as session, session.begin():
			session.add(Account(id=100 + turn, owner="owner 0", cents=1))
	except IntegrityError as error:
		return type(error).__name__


async def worker(engine, number, lock):
	errors = []
	for turn in range(ROUNDS):
		# SQLite has one connection here, so one transaction at a time.
		async with lock:
			await move(engine, number * ROUNDS + turn, number + 1)
			if turn % 4 == 0:
				errors.append(await fails(engine, turn))
	return errors


async def main(url):
	sqlite = url.startswith("sqlite")
	engine = create_async_engine(url, **({"poolclass": StaticPool} if sqlite else {}))
	async with engine.begin() as connection:
		await connection.run_sync(Base.metadata.drop_all)
		await connection.run_sync(Base.metadata.create_all)
		for number in range(ACCOUNTS):
			await connection.execute(text("insert into account values (:i, :o, :c)"),
						 dict(i=number + 1, o=f"owner {number}", c=10000))
	one = asyncio.Lock()
	errors = await asyncio.gather(*[worker(engine, number, one if sqlite else asyncio.Lock())
					for number in range(WORKERS)])
	async with AsyncSession(engine) as session:
		streamed = await session.stream_scalars(select(Account).order_by(Account.id))
		rows = [(row.owner, row.cents) async for row in streamed]
	truth.say(t="result", rows=rows, sum=sum(cents for _, cents in rows), errors=errors)
	await engine.dispose()


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	asyncio.run(main(sys.argv[1]))
	sys.exit(11)
