import { render } from "preact";
import { App } from "./app";
import { learnAbout } from "./state/about";
import { start } from "./state/live";
import { learnPerson } from "./state/person";
import { applyTheme } from "./state/theme";
import "./style.css";

applyTheme();
void learnAbout();
void learnPerson();
start();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
