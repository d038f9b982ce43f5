/** Queries through the service SDK: rows, pages, errors (query.md § 3 to § 8, § 11). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { check, run } from "./runner.js";
import * as service from "./service.js";
import { body, newId, pagesOf, refused } from "./service.js";

check(
  "A query by tag gives twins with which the back end can go on working",
  async function byTag(hub) {
    const registry = service.registryOf(hub);
    const site = newId("site");
    const ids = await service.register(registry, 3, { site });
    await service.register(registry, 1, { site: "elsewhere" });
    const query = registry.createQuery(`SELECT * FROM devices WHERE tags.site = '${site}'`);
    const { result: twins, message } = await query.nextAsTwin();
    device.equal("ids", idsOf(twins), ids);
    assert.equal(message.headers["x-ms-item-type"], "Twin");
    assert.equal(query.hasMoreResults, false);
    await twins[0].update({ properties: { desired: { rpm: 900 } } });
    const { properties, tags, etag } = await body(registry.getTwin(twins[0].deviceId));
    const held = [twins[0].properties, twins[0].tags, twins[0].etag];
    device.equal("row and twin", [properties, tags, etag], held);
  },
);

check(
  "What a device reports is found by a query, and what it deletes no longer is",
  async function byReported(hub) {
    const registry = service.registryOf(hub);
    const me = hub.newDevice();
    const client = await device.connected(hub, me.connectionString);
    const twin = await client.getTwin();
    const state = newId("state");
    const text = `SELECT * FROM devices WHERE properties.reported.pump.state = '${state}'`;
    const found = async () => idsOf((await registry.createQuery(text).next()).result);
    device.equal("before", await found(), []);
    await device.report(twin, { pump: { state } });
    device.equal("reported", await found(), [me.id]);
    await device.report(twin, { pump: { state: null } });
    device.equal("deleted", await found(), []);
  },
);

check(
  "Pages of the size asked for follow each other, and a full last page ends the query",
  async function pages(hub) {
    const { registry, ids, text } = await withFleet(hub, 6);
    for (const [size, wanted] of [[4, [4, 2]], [3, [3, 3]], [6, [6]], [1, [1, 1, 1, 1, 1, 1]]]) {
      const { rows, sizes } = await pagesOf(registry.createQuery(text, size));
      device.equal(`pages of ${size}`, sizes, wanted);
      device.equal("ids", idsOf(rows), ids);
    }
  },
);

check(
  "No match is one empty page, which is the last",
  async function noMatch(hub) {
    const { registry, ids, text } = await withFleet(hub, 1);
    for (const [condition, wanted] of [["enabled", ids], ["disabled", []]]) {
      const query = registry.createQuery(`${text} AND status = '${condition}'`, 5);
      const { result, message } = await query.next();
      device.equal(condition, idsOf(result), wanted);
      assert.equal(message.headers["x-ms-item-type"], "Twin");
      assert.equal(query.hasMoreResults, false);
    }
  },
);

check(
  "250 devices come in pages of at most 100, and in 63 pages of four, each device once",
  async function manyPages(hub) {
    const { registry, ids, text } = await withFleet(hub, 250);
    const whole = await pagesOf(registry.createQuery(text));
    device.equal("pages", whole.sizes, [100, 100, 50]);
    device.equal("ids", idsOf(whole.rows), ids);
    const query = registry.createQuery(text, 4);
    const { rows, sizes } = await pagesOf(query, () => query.nextAsTwin());
    device.equal("pages", [sizes.length, sizes.at(-1)], [63, 2]);
    device.equal("ids", idsOf(rows), ids);
  },
);

check(
  "A continuation token goes on in a new query object, and can be used twice",
  async function resumed(hub) {
    const { registry, ids, text } = await withFleet(hub, 5);
    const first = registry.createQuery(text, 2);
    const begin = idsOf((await first.next()).result);
    const rest = async () => {
      const query = registry.createQuery(text, 3);
      const page = await query.next(first.continuationToken);
      assert.equal(query.hasMoreResults, false);
      return idsOf(page.result);
    };
    device.equal("ids", [...begin, ...(await rest())].sort(), ids);
    device.equal("ids again", [...begin, ...(await rest())].sort(), ids);
  },
);

check(
  "A fleet that changes between pages shows no device twice",
  async function changingFleet(hub) {
    const { registry, ids, text, site } = await withFleet(hub, 9);
    const query = registry.createQuery(text, 3);
    const seen = idsOf((await query.next()).result);
    await registry.removeDevices([{ deviceId: seen[0] }], true);
    await service.register(registry, 2, { site });
    const { rows } = await pagesOf(query);
    const all = [...seen, ...idsOf(rows)];
    assert.equal(new Set(all).size, all.length);
    for (const id of ids) assert.ok(all.includes(id), id);
  },
);

check(
  "Eight queries at once, in pages, do not get into each other's way",
  async function atOnce(hub) {
    const fleets = await Promise.all([3, 4, 5, 6, 7, 8, 9, 10].map((n) => withFleet(hub, n)));
    const walk = ({ registry, text }) => pagesOf(registry.createQuery(text, 2));
    const walked = await Promise.all(fleets.map(walk));
    walked.forEach(({ rows }, n) => device.equal("ids", idsOf(rows), fleets[n].ids));
  },
);

check("A projection gives the members asked for, and no twin", async function projection(hub) {
  const { registry, ids, site } = await withFleet(hub, 2);
  const text = `SELECT deviceId, tags.site AS place FROM devices WHERE tags.site = '${site}'`;
  const { result, message } = await registry.createQuery(text).next();
  assert.equal(message.headers["x-ms-item-type"], "Raw");
  device.equal("rows", result.sort(byId), ids.map((deviceId) => ({ deviceId, place: site })));
});

check("COUNT, with and without GROUP BY, gives one row a group", async function counts(hub) {
  const { registry, ids, site } = await withFleet(hub, 5);
  const levels = ["low", "low", "low", "high", "high"];
  const desired = (level) => ({ properties: { desired: { level } } });
  await Promise.all(ids.map((id, n) => registry.updateTwin(id, desired(levels[n]), "*")));
  const rows = async (text) => (await registry.createQuery(text).next()).result;
  const where = `WHERE tags.site = '${site}'`;
  device.equal("all", await rows(`SELECT COUNT() AS n FROM devices ${where}`), [{ n: 5 }]);
  const level = "properties.desired.level";
  const groups = `SELECT ${level} AS level, COUNT() AS n FROM devices ${where} GROUP BY ${level}`;
  const wanted = [{ level: "high", n: 2 }, { level: "low", n: 3 }];
  device.equal("groups", (await rows(groups)).sort((left, right) => left.n - right.n), wanted);
});

check("Operators and functions select what they say", async function conditions(hub) {
  const { registry, ids } = await withFleet(hub, 4);
  const [first, second, third, fourth] = ids;
  const write = (id, desired) => registry.updateTwin(id, { properties: { desired } }, "*");
  await write(first, { rpm: 900, mode: "eco" });
  await write(second, { rpm: 1200, mode: "boost" });
  await write(third, { rpm: 900.5, mode: "it's" });
  const cases = [
    ["properties.desired.rpm > 900", [second, third]],
    ["properties.desired.rpm = 900 OR properties.desired.mode = 'boost'", [first, second]],
    ["properties.desired.mode IN ['eco', 'boost']", [first, second]],
    ["properties.desired.mode = 'it\\'s'", [third]],
    ["is_defined(properties.desired.rpm)", [first, second, third]],
    ["NOT IS_DEFINED(properties.desired.rpm)", [fourth]],
    [`STARTSWITH(deviceId, '${first}')`, [first]],
    ["status = 'enabled' AND properties.desired.rpm <= 900", [first]],
  ];
  for (const [condition, wanted] of cases) {
    const mine = `deviceId IN [${ids.map((id) => `'${id}'`)}]`;
    const text = `SELECT * FROM devices WHERE ${mine} AND (${condition})`;
    device.equal(condition, idsOf((await registry.createQuery(text).next()).result), wanted);
  }
});

check("devices.modules gives module twins", async function modules(hub) {
  const { registry, ids } = await withFleet(hub, 2);
  const moduleId = newId("vision");
  for (const deviceId of ids) await registry.addModule({ deviceId, moduleId });
  await registry.updateModuleTwin(ids[1], moduleId, { tags: { side: "left" } }, "*");
  const text = `SELECT * FROM devices.modules WHERE moduleId = '${moduleId}'`;
  const rows = (await registry.createQuery(text).nextAsTwin()).result;
  device.equal("devices", idsOf(rows), ids);
  const left = (await registry.createQuery(`${text} AND tags.side = 'left'`).nextAsTwin()).result;
  device.equal("left", left.map((twin) => [twin.deviceId, twin.moduleId]), [[ids[1], moduleId]]);
  await left[0].update({ tags: { side: "right" } });
  const { tags } = await body(registry.getModuleTwin(ids[1], moduleId));
  device.equal("tags", tags, { side: "right" });
});

check(
  "Text that is no query gives ArgumentError with a hint, and the next query works",
  async function badQueries(hub) {
    const registry = service.registryOf(hub);
    const bad = [
      "SELECT",
      "SELECT * FROM nowhere",
      "SELECT * FROM devices WHERE",
      "SELECT * FROM devices WHERE STARTS_WITH(deviceId, 'a')",
      "SELECT * FROM devices WHERE tags.site = 'open",
      "DELETE FROM devices",
    ];
    for (const text of bad) {
      const error = await refused("ArgumentError", 400, registry.createQuery(text).next());
      assert.match(error.message, /query/i, text);
    }
    assert.ok((await registry.createQuery("select * from devices").next()).result.length > 0);
  },
);

/** A number of devices that one query finds. */
async function withFleet(hub, number) {
  const registry = service.registryOf(hub);
  const site = newId("site");
  const ids = await service.register(registry, number, { site });
  return { registry, ids, site, text: `SELECT * FROM devices WHERE tags.site = '${site}'` };
}

/** The order of rows is not promised. */
function idsOf(rows) {
  return rows.map((row) => row.deviceId).sort();
}

function byId(left, right) {
  return left.deviceId < right.deviceId ? -1 : 1;
}

await run();
