/** Automatic device configurations through the service SDK (hub-http.md § 5). */

import assert from "node:assert/strict";

import * as device from "./device.js";
import { atEnd, check, run } from "./runner.js";
import * as service from "./service.js";
import { body, codeOf, newId, refused } from "./service.js";

check(
  "addConfiguration, getConfiguration and getConfigurations agree on what was given",
  async function stored(hub) {
    const registry = service.registryOf(hub);
    for (const part of ["deviceContent", "moduleContent"]) {
      const content = { [part]: { "properties.desired": { prop1: "foo", rpm: 1.5 } } };
      const given = {
        id: newId("node_e2e"),
        content,
        labels: { owner: "us" },
        targetCondition: "",
        priority: 20,
      };
      const made = await add(registry, given);
      assert.ok(made.etag);
      const { etag, createdTimeUtc } = made;
      const found = await body(registry.getConfiguration(given.id));
      device.equal("stored", { ...found, ...given }, found);
      assert.deepEqual([found.etag, found.createdTimeUtc], [etag, createdTimeUtc]);
      assert.equal(found.schemaVersion, "1.0");
      const listed = await body(registry.getConfigurations());
      device.equal("listed", listed.find((each) => each.id === given.id), found);
    }
  },
);

check(
  "addConfiguration of an existing id gives a conflict; an unknown one 404",
  async function conflict(hub) {
    const registry = service.registryOf(hub);
    const given = configuration({ "properties.desired.rpm": 900 }, "");
    const made = await add(registry, given);
    const again = registry.addConfiguration({ ...given, priority: 1 });
    // The SDK has one class for every 409.
    const error = await refused("DeviceAlreadyExistsError", 409, again);
    assert.equal(codeOf(error), "ConfigurationAlreadyExists");
    assert.equal((await body(registry.getConfiguration(given.id))).etag, made.etag);
    const unknown = await refused("Error", 404, registry.getConfiguration(newId("none")));
    assert.equal(codeOf(unknown), "ConfigurationNotFound");
  },
);

check("updateConfiguration goes by the etag unless it is forced", async function updated(hub) {
  const registry = service.registryOf(hub);
  const given = configuration({ "properties.desired.rpm": 900 }, "");
  const made = await add(registry, given);
  const changed = await body(registry.updateConfiguration({ ...made, priority: 99 }, false));
  assert.equal(changed.priority, 99);
  assert.notEqual(changed.etag, made.etag);
  const stale = { ...made, priority: 5 };
  await refused("InvalidEtagError", 412, registry.updateConfiguration(stale, false));
  assert.equal((await body(registry.getConfiguration(given.id))).priority, 99);
  await registry.updateConfiguration({ ...given, priority: 7 }, true);
  assert.equal((await body(registry.getConfiguration(given.id))).priority, 7);
});

check(
  "The content of a configuration cannot be changed, its condition can",
  async function immutable(hub) {
    const registry = service.registryOf(hub);
    const given = configuration({ "properties.desired.rpm": 900 }, "");
    await add(registry, given);
    const content = { deviceContent: { "properties.desired.rpm": 950 } };
    const update = registry.updateConfiguration({ ...given, content }, true);
    const error = await refused("ArgumentError", 400, update);
    assert.equal(codeOf(error), "CannotModifyImmutableConfigurationContent");
    const targetCondition = "tags.site = 'nowhere'";
    await registry.updateConfiguration({ ...given, targetCondition }, true);
    const stored = await body(registry.getConfiguration(given.id));
    device.equal("content", stored.content, given.content);
    assert.equal(stored.targetCondition, targetCondition);
  },
);

check(
  "A bad condition, content, metric or id gives ArgumentError with a code of its own",
  async function badInput(hub) {
    const registry = service.registryOf(hub);
    const good = configuration({ "properties.desired.rpm": 900 }, "tags.site = 'nowhere'");
    const metrics = { queries: { all: "SELECT FROM WHERE" } };
    const cases = [
      [{ targetCondition: "tags.site = " }, "InvalidConfigurationTargetCondition"],
      [{ content: { deviceContent: { "tags.site": "x" } } }, "InvalidConfigurationContent"],
      [{ metrics }, "InvalidConfigurationCustomMetricsQuery"],
    ];
    for (const [change, code] of cases) {
      const id = newId("bad");
      const call = registry.addConfiguration({ ...good, id, ...change });
      assert.equal(codeOf(await refused("ArgumentError", 400, call)), code);
      await refused("Error", 404, registry.getConfiguration(id));
    }
    await refused("ArgumentError", 400, registry.addConfiguration({ ...good, id: "Upper" }));
    await add(registry, good);
  },
);

check(
  "A connected device that meets the condition gets the content as a desired patch",
  async function applied(hub) {
    const { registry, me, client, site } = await withDevice(hub);
    const { desired } = await device.watchDesired(client, me.id);
    const content = { "properties.desired.fan": { rpm: 900 }, "properties.desired.mode": "eco" };
    const { id } = await add(registry, configuration(content, `tags.site = '${site}'`));
    const notified = await desired.take();
    device.equal("notification", notified, { fan: { rpm: 900 }, mode: "eco", $version: 2 });
    const twin = await body(registry.getTwin(me.id));
    assert.equal(twin.configurations[id].status, "Applied");
    device.equal("desired", valuesOf(twin), { fan: { rpm: 900 }, mode: "eco", $version: 2 });
  },
);

check(
  "A device that comes under the condition later gets the content, and loses it when it leaves",
  async function comesAndGoes(hub) {
    const { registry, me, site } = await withDevice(hub);
    const own = { properties: { desired: { own: true } } };
    await registry.updateTwin(me.id, { tags: { site: "elsewhere" }, ...own }, "*");
    const given = configuration({ "properties.desired.rpm": 900 }, `tags.site = '${site}'`);
    const { id } = await add(registry, given);
    const settings = async () => valuesOf(await body(registry.getTwin(me.id)));
    await registry.updateTwin(me.id, { tags: { site } }, "*");
    await device.eventually("it has them", async () => (await settings()).rpm === 900);
    await registry.updateTwin(me.id, { tags: { site: null } }, "*");
    await device.eventually("it lost them", async () => !("rpm" in (await settings())));
    assert.equal((await settings()).own, true);
    const { configurations } = await body(registry.getTwin(me.id));
    assert.equal(configurations?.[id], undefined);
  },
);

check(
  "The higher priority wins; when it is removed the next configuration applies",
  async function priorities(hub) {
    const { registry, me, site } = await withDevice(hub);
    const content = (rpm) => ({ "properties.desired.rpm": rpm });
    const where = `tags.site = '${site}'`;
    const isAt = async (rpm) => valuesOf(await body(registry.getTwin(me.id))).rpm === rpm;
    const rpmIs = (rpm) => device.eventually(`rpm is ${rpm}`, () => isAt(rpm));
    const high = await add(registry, { ...configuration(content(900), where), priority: 20 });
    await rpmIs(900);
    const low = await add(registry, { ...configuration(content(100), where), priority: 10 });
    const top = await add(registry, { ...configuration(content(1200), where), priority: 30 });
    await rpmIs(1200);
    await registry.removeConfiguration(top.id);
    await rpmIs(900);
    await registry.updateConfiguration({ ...low, priority: 40 }, true);
    await rpmIs(100);
    await registry.removeConfiguration(low.id);
    await registry.removeConfiguration(high.id);
    await rpmIs(undefined);
  },
);

check(
  "Metrics count the devices: targeted, applied, and by queries of one's own",
  async function metrics(hub) {
    const { registry, me, client, site } = await withDevice(hub);
    const id = newId("rollout");
    const applied = `SELECT * FROM devices WHERE configurations.[[${id}]].status = 'Applied'`;
    const query = `${applied} AND properties.reported.mode = 'eco'`;
    const given = configuration({ "properties.desired.mode": "eco" }, `tags.site = '${site}'`);
    await add(registry, { ...given, id, metrics: { queries: { eco: query } } });
    await device.report(await client.getTwin(), { mode: "eco" });
    await device.eventually("the metrics show it", async () => {
      const { systemMetrics, metrics } = await body(registry.getConfiguration(id));
      const counts = Object.values(systemMetrics.results ?? {});
      return counts.length > 1 && [...counts, metrics.results?.eco].every((count) => count === 1);
    });
    const found = await registry.createQuery(applied).next();
    device.equal("found", found.result.map((row) => row.deviceId), [me.id]);
  },
);

check(
  "applyConfigurationContentOnDevice is refused for a device that is no Edge device",
  async function plainDevice(hub) {
    const { registry, me } = await withDevice(hub);
    const content = { modulesContent: { $edgeAgent: { "properties.desired": {} } } };
    await refused("ArgumentError", 400, registry.applyConfigurationContentOnDevice(me.id, content));
    const nobody = registry.applyConfigurationContentOnDevice(newId("nobody"), content);
    await refused("DeviceNotFoundError", 404, nobody);
  },
);

/** Adds a configuration, which is removed after the check. */
async function add(registry, given) {
  const made = await body(registry.addConfiguration({ ...given }));
  atEnd(() => registry.removeConfiguration(given.id));
  return made;
}

function configuration(deviceContent, targetCondition) {
  return { id: newId("rollout"), content: { deviceContent }, targetCondition, priority: 10 };
}

/** A connected device with a tag of its own. */
async function withDevice(hub) {
  const registry = service.registryOf(hub);
  const me = hub.newDevice();
  const site = newId("site");
  await registry.updateTwin(me.id, { tags: { site } }, "*");
  return { registry, me, site, client: await device.connected(hub, me.connectionString) };
}

function valuesOf(twin) {
  const { $metadata, ...values } = twin.properties.desired;
  return values;
}

await run();
