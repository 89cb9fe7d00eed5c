// One process, or a cluster of WORKERS on one port.
import cluster from "node:cluster";

import mongoose from "mongoose";

import { app } from "./app.js";

const workers = Number(process.env.WORKERS ?? 1);

if (workers > 1 && cluster.isPrimary) {
  for (let i = 0; i < workers; i += 1) cluster.fork();
  process.on("SIGTERM", () => process.exit(0));
} else {
  await mongoose.connect(process.env.MONGODB_URI, {
    dbName: process.env.DB_NAME,
    maxPoolSize: 50,
    minPoolSize: 2,
    w: "majority",
  });
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
