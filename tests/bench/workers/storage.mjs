// KV and D1 for a bare workerd, which brings the bindings but nothing behind them.
//
// Each namespace and database is one Durable Object, so that what one process wrote the next one finds. Only what the
// gateway does is spoken: KV's get, put, delete and list, D1's queries and batches.

import { DurableObject } from "cloudflare:workers";

/** The storage that the request names. */
const stored = {
  fetch: (request, environment) => environment.STORE.getByName(request.headers.get("x-store")).fetch(request),
};

export default stored;

export class Store extends DurableObject {
  constructor(state, environment) {
    super(state, environment);
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS kv_entry (key TEXT PRIMARY KEY, value BLOB, metadata TEXT, expires INTEGER)");
    this.sql.exec("CREATE TABLE IF NOT EXISTS kv_migration (name TEXT PRIMARY KEY)");
  }

  async fetch(request) {
    const url = new URL(request.url);
    if (request.method === "POST") return this.query(await request.json(), url.searchParams.get("resultsFormat"));
    const key = decodeURIComponent(url.pathname.slice(1));
    switch (request.method) {
      case "GET":
        return key === "" ? this.list(url.searchParams) : this.get(key);
      case "PUT":
        return this.put(key, request, url.searchParams);
      case "DELETE":
        this.sql.exec("DELETE FROM kv_entry WHERE key = ?", key);
        return new Response();
    }
    return new Response(null, { status: 405 });
  }

  get(key) {
    const found = "SELECT value, metadata FROM kv_entry WHERE key = ? AND (expires IS NULL OR expires > ?)";
    const [entry] = this.sql.exec(found, key, seconds());
    if (entry === undefined) return new Response(null, { status: 404 });
    return new Response(entry.value, entry.metadata === null ? {} : { headers: { "cf-kv-metadata": entry.metadata } });
  }

  async put(key, request, parameters) {
    const lifetime = parameters.get("expiration_ttl");
    const expires = lifetime === null ? parameters.get("expiration") : seconds() + Number(lifetime);
    const metadata = request.headers.get("cf-kv-metadata");
    const value = await request.arrayBuffer();
    this.sql.exec("INSERT OR REPLACE INTO kv_entry VALUES (?, ?, ?, ?)", key, value, metadata, expires === null ? null : Number(expires));
    return new Response();
  }

  list(parameters) {
    const beginning = parameters.get("prefix") ?? "";
    const found = "SELECT key, metadata FROM kv_entry WHERE substr(key, 1, ?) = ? ORDER BY key";
    const keys = [...this.sql.exec(found, beginning.length, beginning)];
    return Response.json({
      keys: keys.map(({ key, metadata }) => ({ name: key, metadata: metadata ?? undefined })),
      list_complete: true,
      cacheStatus: null,
    });
  }

  query(queries, format) {
    this.migrate();
    try {
      const run = () => [queries].flat().map((query) => this.statement(query, format));
      return Response.json(this.ctx.storage.transactionSync(run));
    } catch (error) {
      return Response.json({ success: false, error: String(error.message ?? error) }, { status: 500 });
    }
  }

  statement({ sql, params }, format) {
    const values = (params ?? []).map((value) => (Array.isArray(value) ? new Uint8Array(value) : value));
    const before = this.changes();
    const cursor = this.sql.exec(sql, ...values);
    const columns = cursor.columnNames;
    const rows = [...cursor.raw()].map((row) => row.map((cell) => (cell instanceof ArrayBuffer ? [...new Uint8Array(cell)] : cell)));
    const objects = () => rows.map((row) => Object.fromEntries(row.map((cell, index) => [columns[index], cell])));
    const { rowsRead, rowsWritten } = cursor;
    const { total, last } = this.changes();
    return {
      success: true,
      results: format === "ROWS_AND_COLUMNS" ? { columns, rows } : objects(),
      meta: {
        duration: 0,
        changes: total - before.total,
        last_row_id: last,
        changed_db: rowsWritten > 0,
        size_after: this.sql.databaseSize,
        rows_read: rowsRead,
        rows_written: rowsWritten,
      },
    };
  }

  changes() {
    return this.sql.exec("SELECT total_changes() AS total, last_insert_rowid() AS last").one();
  }

  /** Brings a new database to the repository's schema. */
  migrate() {
    for (const { name, sql } of this.env.MIGRATIONS) {
      if ([...this.sql.exec("SELECT name FROM kv_migration WHERE name = ?", name)].length > 0) continue;
      this.sql.exec(sql);
      this.sql.exec("INSERT INTO kv_migration VALUES (?)", name);
    }
  }
}

function seconds() {
  return Math.floor(Date.now() / 1000);
}
