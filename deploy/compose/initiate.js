// The replica set of three, and the user that Finlink connects as. Run again, it changes nothing.
const admin = db.getSiblingDB("admin");
const members = [0, 1, 2].map((number) => ({ _id: number, host: `mongo-${number}:27017` }));

admin.auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD);
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  // Two seconds, not ten, until a silent primary is replaced.
  rs.initiate({ _id: "rs0", members, settings: { electionTimeoutMillis: 2000 } });
}
while (!db.hello().isWritablePrimary && !db.hello().primary) sleep(200);

const primary = new Mongo(`mongodb://${db.hello().primary}/?directConnection=true`).getDB("admin");
primary.auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD);
if (primary.getUser("finlink") === null) {
  primary.createUser({
    user: "finlink",
    pwd: process.env.MONGO_PASSWORD,
    // dbAdmin: it makes indexes, and has images of changes kept for those who watch.
    roles: [
      { role: "readWrite", db: "financial_app" },
      { role: "dbAdmin", db: "financial_app" },
    ],
  });
}
// How long a watch can be resumed.
primary.adminCommand({
  setClusterParameter: { changeStreamOptions: { preAndPostImages: { expireAfterSeconds: 3600 } } },
});
