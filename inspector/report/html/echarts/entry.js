// The parts of Apache ECharts that the page draws with: bars on a grid, on a canvas, with patterns for those who do not
// see the colours, and a description for those who see nothing. build.sh makes echarts.min.js of it.
export { init, use } from "echarts/core";
import { use } from "echarts/core";
import { BarChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, AriaComponent, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);
