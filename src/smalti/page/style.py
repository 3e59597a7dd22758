"""How a report looks: one column that fits a phone, light or dark as the reader's system is.

Colours are of Okabe and Ito (2008), told apart with any common colour vision; severities differ in shape as well.
"""

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1d2126;--soft:#5c646e;--line:#dfe1de;--bar:#9fb4c4;
--error:#b8450a;--warning:#8a5a00;--info:#00629b;--error-bar:#d55e00;--warning-bar:#e69f00;--info-bar:#56b4e9}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--card:#1d2125;--ink:#e8eaec;--soft:#a2abb5;--line:#32383e;
--bar:#4d6578;--error:#ff8a4c;--warning:#f0b429;--info:#6cc1f2}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:0 0 .25rem}h2 small{color:var(--soft);font-weight:400;font-size:.95rem;
margin-left:.35rem;white-space:nowrap}
h3{font-size:1.05rem;margin:2rem 0 .25rem}
p{margin:.25rem 0 .75rem;max-width:70ch}
.path{color:var(--soft);font-size:.9rem;overflow-wrap:anywhere;margin:0 0 .75rem}
section{margin-top:2.75rem;scroll-margin-top:1rem}
.chips{display:flex;flex-wrap:wrap;gap:.5rem;list-style:none;padding:0;margin:1rem 0}
.chips li{padding:.35rem .8rem;border:1px solid var(--line);border-radius:2rem;background:var(--card)}
.chips .none{opacity:.55}
.error b,.mark.error{color:var(--error)}.warning b,.mark.warning{color:var(--warning)}
.info b,.mark.info{color:var(--info)}
nav ol{list-style:none;padding:0;margin:1.25rem 0 0;border-top:1px solid var(--line)}
nav a{display:grid;grid-template-columns:1.5rem minmax(0,1fr) 3.5rem minmax(0,11rem);gap:.5rem;align-items:center;
padding:.4rem .25rem;border-bottom:1px solid var(--line);color:inherit;text-decoration:none}
nav a:hover,nav a:focus-visible{background:var(--card)}
nav b{text-align:right;font-variant-numeric:tabular-nums}
.bar{display:block;height:.5rem;border-radius:.25rem;background:var(--bar);min-width:2px}
.bar.error{background:var(--error-bar)}.bar.warning{background:var(--warning-bar)}.bar.info{background:var(--info-bar)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(15.5rem,100%),1fr));gap:1rem;align-items:start;
margin-top:1rem}
article{background:var(--card);border:1px solid var(--line);border-radius:.6rem;overflow:hidden;
border-top:3px solid var(--info-bar)}
article.error{border-top-color:var(--error-bar)}article.warning{border-top-color:var(--warning-bar)}
article .text{padding:.7rem .85rem .8rem;font-size:.92rem}
article p{margin:0 0 .5rem;overflow-wrap:anywhere}
.pictures{background:#2b2f33;display:grid;gap:2px}.pictures.two{grid-template-columns:1fr 1fr;align-items:center}
figure{position:relative;margin:0 auto;outline-offset:-3px}
figure img{display:block;width:100%;height:100%}
figure img.zoomed{image-rendering:pixelated}
figure svg{position:absolute;inset:0;width:100%;height:100%;transition:opacity .15s}
figure:hover svg,figure:focus svg{opacity:0}
path{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round}
path.case{stroke:#000;stroke-opacity:.55;stroke-width:4}path.meant{stroke:#f0e442;stroke-width:2}
path.others{stroke:#fff;stroke-opacity:.8;stroke-width:1;stroke-dasharray:3 2}
path.case:has(+ .others){stroke-width:2.5;stroke-opacity:.35}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--paper);border-radius:.25rem;
padding:.05em .3em;overflow-wrap:anywhere}
.notes{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem .9rem;color:var(--soft);font-size:.82rem}
.sure{display:inline-flex;align-items:center;gap:.5rem}
.track{display:block;width:4rem;height:.4rem;border-radius:.25rem;background:var(--line)}.track .bar{height:100%}
.hint{color:var(--soft)}
.fix{border:1px solid var(--line);border-radius:1rem;padding:0 .6rem}
.rows{margin-top:.75rem;border-top:1px solid var(--line)}.rows article{background:none;border:0;border-radius:0;
border-bottom:1px solid var(--line)}.rows .text{padding:.55rem 0;font-size:1rem;max-width:80ch}.rows article p{margin:0}
.rows article .notes{margin-top:.35rem}
details{font-size:.88rem;margin-top:.25rem}summary{cursor:pointer;color:var(--soft)}
section>details{margin-top:1rem}details ul{padding-left:1.1rem;overflow-wrap:anywhere}
dl{margin:.4rem 0}dl div{display:flex;justify-content:space-between;gap:1rem;border-bottom:1px dotted var(--line)}
dt{color:var(--soft)}dd{margin:0;text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.files{list-style:none;padding:0;font-size:.8rem;color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;margin-top:.5rem}
th,td{padding:.4rem .9rem .4rem 0;text-align:right;border-bottom:1px solid var(--line);vertical-align:top;
font-variant-numeric:tabular-nums;white-space:nowrap}
th:first-child{text-align:left;font-weight:600;white-space:normal;overflow-wrap:break-word;min-width:8rem}
thead th{color:var(--soft);font-weight:400}
th small{color:var(--soft);font-weight:400;margin-left:.5rem}
td .bar{margin:.3rem 0 0 auto;height:.35rem}
.swatch{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.5rem;vertical-align:-.05rem;
border:1px solid #0003}
.sizes .wide{width:60%;min-width:11rem;padding-right:1.2rem;text-align:left}
.sizes th.wide,.sizes thead th:last-child{text-align:left}
.box{position:relative;height:1.3rem}.box i{position:absolute}
.whisker{top:50%;height:2px;margin-top:-1px;background:var(--soft)}
.half{top:.2rem;bottom:.2rem;background:var(--bar);border-radius:.15rem;min-width:3px}
.middle{top:0;bottom:0;width:2px;margin-left:-1px;background:var(--ink)}
.ticks{position:relative;height:1.2rem}.ticks i{position:absolute;transform:translateX(-50%);font-style:normal;
font-size:.8rem;color:var(--soft)}.ticks i:first-child{transform:none}.ticks i:last-child{transform:translateX(-100%)}
.axis th,.axis td{border:0}
.headline{font-size:1.15rem;margin:.5rem 0 .1rem}.headline b{font-size:2.6rem;line-height:1.1;margin-right:.5rem;
font-variant-numeric:tabular-nums}
.remarks{padding-left:1.1rem;color:var(--warning);max-width:75ch;overflow-wrap:anywhere}
.soft,td.soft{color:var(--soft)}
.scores .wide{width:45%;min-width:9rem;text-align:left;padding-right:0}.scores .box{border-left:1px solid var(--line);
border-right:1px solid var(--line);height:1rem}.scores .half{top:.25rem;bottom:.25rem}
th small{display:inline-block}
.confusion th span{display:inline-block;max-width:7rem;overflow:hidden;text-overflow:ellipsis;vertical-align:bottom}
.confusion td{padding:.4rem .5rem;min-width:3.2rem}.confusion td.right{background:color-mix(in srgb,var(--info-bar)
calc(var(--part)*75%),transparent)}.confusion td.wrong{background:color-mix(in srgb,var(--error-bar)
calc(var(--part)*90%),transparent)}
.plot{width:100%;max-width:40rem;height:auto;font-size:12px;fill:var(--soft)}.plot .grid{stroke:var(--line)}
.plot .title{fill:var(--ink)}.plot .band{fill:var(--info-bar);opacity:.28}.plot .line{fill:none;stroke:var(--info);
stroke-width:2}.plot circle{fill:var(--info)}.plot .ideal{fill:none;stroke:var(--soft);stroke-dasharray:4 3}
.exhibits{display:grid;gap:1rem;margin-top:1rem}.exhibits article{border-top:1px solid var(--line)}
.exhibits .text{padding:.5rem .85rem}.exhibits .text p{margin:0}
.pictures.three{grid-template-columns:repeat(3,1fr);align-items:center}
path.truth{stroke:#56b4e9;stroke-width:1.6}path.predicted{stroke:#f0e442;stroke-width:1.6}
.key{display:inline-block;width:.75rem;height:.75rem;border-radius:.2rem;vertical-align:-.05rem}
.key.missed{background:#d55e00}.key.false{background:#0072b2}.key.confused{background:#cc79a7}.key.void{background:#808080}
.scale{display:flex;align-items:center;gap:.6rem;font-size:.85rem;font-variant-numeric:tabular-nums}
.scale i{display:block;width:12rem;max-width:40%;height:.75rem;border-radius:.2rem}.scale small{color:var(--soft)}
.maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(14rem,45%),1fr));gap:.9rem;padding:0 .85rem .85rem}
.maps p{margin:.3rem 0 0;font-size:.85rem}.maps figure{background:#2b2f33}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));column-gap:2.5rem}
.shares .box{border:0}
.pictures.place{grid-template-columns:minmax(0,1fr) minmax(0,1fr) minmax(0,1.35fr);align-items:center}
.exhibits .headline b{font-size:1.7rem;color:var(--soft)}
footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:.75rem;color:var(--soft);font-size:.85rem}
@media(max-width:36rem){main{padding:1.25rem .9rem 3rem}nav a{grid-template-columns:1.5rem minmax(0,1fr) 2.8rem}
nav .bar{display:none}.cards{grid-template-columns:1fr}h1{font-size:1.5rem}}
@media print{figure svg{opacity:1}details{display:none}}
"""
