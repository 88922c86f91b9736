//! Every word of the pages, in both languages, in one table: a page names a word, and the compiler knows whether it is there.

use jiff::civil::Weekday;

use crate::import::Unfit;
use crate::plan::calls::{Kind, Wrong};
use crate::reference::{OwnField, OwnFields};
use crate::request::Language;
use crate::ticket::facts;
use crate::users::Role;

macro_rules! words {
    ($($name:ident: $zh:literal, $en:literal;)+) => {
        /// The words of one language.
        #[derive(Debug)]
        pub(super) struct Words {
            pub(super) language: Language,
            $(pub(super) $name: &'static str,)+
        }

        static ZH: Words = Words { language: Language::Zh, $($name: $zh,)+ };
        static EN: Words = Words { language: Language::En, $($name: $en,)+ };

        #[cfg(test)]
        const TABLE: &[(&str, &str, &str)] = &[$((stringify!($name), $zh, $en),)+];
    };
}

words! {
    tag: "zh-CN", "en";
    product: "12328 热线工作台", "12328 hotline desk";
    skip: "跳到正文", "Skip to the content";
    other_language: "English", "中文";
    navigation: "导航", "Navigation";
    queues: "工单列表", "Queues";
    new_ticket: "新来电", "New call";
    calls: "来电", "Calls";
    calls_none: "目前没有来电。", "No call at the moment.";
    calls_mine: "我的来电（未建工单）", "My calls without a ticket";
    calls_missed: "未接来电（24 小时内）", "Missed within a day";
    call_open: "打开来电表单（按 v；正在输入时先按 Esc）", "Open the call's form (v; while typing, Esc first)";
    call_take: "接听处理", "Take it";
    call_ringing: "振铃", "Ringing";
    call_answered: "通话中", "Answered";
    call_ended: "已挂断", "Ended";
    call_of_another: "该来电已由其他人员处理。", "This call is somebody else's.";
    call_of_form: "通话编号", "Call";
    number_unknown: "号码未知", "Number not known";
    wall: "运行大屏", "Wall";
    figures: "统计分析", "Figures";
    scorecard: "月度考评", "Monthly scorecard";
    forms: "季报", "Quarterly forms";
    quarter: "季度（也可填月份或年份）", "Quarter (or a month, or a year)";
    form_says: "每张表打印一页，页脚留空处手写签名。", "Each form is printed on a page of its own; what is left empty at its foot is signed by hand.";
    rank: "名次", "Rank";
    unit: "单位", "Unit";
    score: "得分", "Score";
    taken: "受理量", "Taken";
    is_a_test: "是，抽检工单", "Yes, a test ticket";
    test_tickets: "抽检工单", "Test tickets";
    not_frozen: "未冻结：按现有工单计算，随工单变化。", "Not frozen: computed from the tickets as they are now, and moving with them.";
    frozen_by: "已冻结：", "Frozen:";
    amendments: "更正记录", "Put right later";
    no_scorecard: "没有该月的考评：本单位没有下级单位，或该月的冻结记录尚未收到。", "There is no scorecard of this month: no unit lies below this site, or the frozen record has not come here.";
    cut_off_since: "数据可能不全，上次核对一致：", "Tickets may be missing; proved equal last:";
    untold: "数据不全，尚未上报汇总：", "Tickets are missing; not told yet by:";
    told_by: "由下级单位每日汇总和本单位工单计算。已上报的单位数：", "Made of what sites below told and of this site's own tickets. Sites that told:";
    told_to: "全部上报至：", "All of them to:";
    never_compared: "数据可能不全，从未核对一致", "Tickets may be missing; never proved equal";
    how_scored: "得分为各项指标按权重平均（满分 100），没有分母的指标不计入；数据可能不全的单位不排名。权重生效日期：", "The score is the weighed mean of the rates, of 100; a rate of nothing is left out, and a unit that may lack tickets has no rank. Weights since:";
    freeze: "冻结本月", "Freeze this month";
    freeze_says: "冻结后成为带签名的记录，下发各单位，不再变化；之后的更正另行记录并注明理由。", "Frozen, it is a signed record that every unit gets and that never changes; what is put right later stands beside it with its reason.";
    month_frozen: "已冻结。", "It is frozen.";
    scorecard_moved: "按现有工单计算，结果与冻结时不同。", "Computed from the tickets as they are now it would be another one.";
    amend: "记录更正", "Put right";
    amend_reason: "更正理由", "Why it is put right";
    scorecard_signature: "制表：　　　　　　审核：　　　　　　签发：　　　　　　日期：", "Made by:            Checked by:            Approved by:            Date:";
    month: "月份", "Month";
    first_day: "开始日期", "First day";
    last_day: "结束日期", "Last day";
    told_apart_by: "分组", "Told apart by";
    not_told_apart: "不分组", "nothing";
    month_first: "填写月份时，以月份为准。", "When a month is given, it counts.";
    show_figures: "查看", "Show";
    no_period: "日期区间不正确：请填写一个月份，或开始和结束日期（最长十年）。", "This is no period: give a month, or a first and a last day, ten years apart at most.";
    figure: "指标", "Figure";
    figure_now: "本期", "Now";
    figure_counted: "计入 / 应计", "Counted / of";
    figure_before: "上期", "Period before";
    figure_year_before: "上年同期", "Year before";
    change_before: "环比", "Change";
    change_year: "同比", "On the year";
    figure_counts: "数量", "Counts";
    figure_rates: "考评指标", "Rates of the scorecard";
    figures_wait: "程序更新后仍有工单尚未重新统计，请稍后再看。最多：", "After an update some tickets are not counted yet; look again later. At most:";
    as_csv: "下载 CSV", "Download CSV";
    as_xlsx: "下载 Excel 表", "Download spreadsheet";
    did_not_count: "未计入的工单", "those that did not";
    what_figures_mean: "指标含义与依据", "What figures mean, and on what that rests";
    figure_says: "含义", "Meaning";
    figure_basis: "依据", "Basis";
    back_to_figures: "返回统计", "Back to the figures";
    by_day: "按日期", "By day";
    by_business: "按业务类型", "By kind of business";
    by_domain: "按领域", "By domain";
    by_topic: "按事项", "By topic";
    by_channel: "按来源渠道", "By channel";
    by_region: "按受理单位", "By site that took the call";
    by_unit: "按下级单位", "By unit below";
    by_handler: "按承办单位", "By site that handled it";
    tiles: "方格统计图", "Chart of squares";
    tiles_show: "方格图指标", "The chart of squares shows";
    tiles_say: "方格只示意单位，按惯例排列；不是地图，不表示边界。", "A square stands for a unit, placed as is usual; this is no map and shows no border.";
    value_not_said: "（未填写）", "(not said)";
    all_others: "（其余合计）", "(all others)";
    rules: "规则", "Rules";
    rules_say: "各级设定的表；从生效日起对设定单位及其所有下级有效。今天：", "Tables that sites set, for themselves and everybody below, from a day on. Today:";
    rule_table: "表", "Table";
    rule_editions: "版本", "Editions";
    rule_edition: "版本", "Edition";
    rule_standing: "状态", "Standing";
    rule_who: "可设定的层级", "Who may set it";
    rule_combines: "与上级的关系", "How tiers combine";
    rule_built_in: "程序自带", "Built-in";
    rule_own_file: "本节点另有自备文件，以该文件为准", "A file of this node's own goes before what is set";
    rule_from: "生效日期", "From which day on";
    rule_basis: "依据（文号或理由）", "Basis: a document's number, or a reason";
    rule_note: "备注", "Note";
    rule_by: "设定人", "Set by";
    rule_change: "设定新版本", "Set a new edition";
    rule_rows: "全表（CSV）", "The whole table (CSV)";
    rule_rows_hint: "首行为列名，每行一条，用逗号分隔，不用引号。节假日只写涉及的年份。大于 1 MiB 的表不接受。", "The first line names the columns; a row a line, commas between, no quotes. Of holidays only the years that it is about. At most 1 MiB.";
    rule_file: "从文件填入", "Fill in from a file";
    rule_not_text: "文件不是 UTF-8 编码，或大于 1 MiB；请另存为 UTF-8（不要用 GBK）。", "The file is no UTF-8, or larger than 1 MiB: save it as UTF-8 and not as GBK.";
    rule_try: "试算：看会改变什么", "Try: see what would change";
    rule_set: "设定", "Set";
    rule_set_says: "尚未设定。设定后成为带签名的文件，下发所有下级；生效日之前可以撤回。", "Nothing is set yet. Once set it is a signed document that everybody below gets; before its day it can be taken back.";
    rule_would_change: "将改变的行，自", "What would change, from";
    rule_no_change: "没有变化。", "Nothing changes.";
    rule_lines: "变化行数：", "Lines that change:";
    rule_withdraw: "撤回", "Take back";
    rule_done: "已完成。", "It is done.";
    rule_content: "内容", "What it says";
    rule_day: "日期", "Day";
    rule_rows_shown: "显示行数 / 总行数：", "Rows shown / in all:";
    rule_in_force: "生效中", "in force";
    rule_coming: "待生效", "coming";
    rule_past: "已失效", "past";
    rule_withdrawn: "已撤回", "taken back";
    rule_not_read: "未生效", "not in force";
    how_replace: "整表替换上级和自带的表。", "It takes the place of the whole table.";
    how_years: "替换所写年份，其余年份不变。", "It takes the place of the years that it names.";
    how_add: "在上级的表上增加行，不能改上级的行。", "Its rows are added to those above, and change none of them.";
    how_tighten: "只能比上级更短，不能更长。", "Its rows may be shorter than those above, never longer.";
    tier_ministry: "部", "ministry";
    tier_province: "省", "province";
    tier_city: "市", "city";
    tier_office: "基层单位", "office";
    and: "、", ", ";
    table_time_limits: "办理时限", "Time limits";
    table_holidays: "节假日", "Holidays";
    table_redirects: "转接号码", "Redirect numbers";
    table_legacy_numbers: "原有号码", "Numbers of before";
    table_categories: "业务分类", "Categories";
    table_centres: "话务中心", "Centres";
    table_divisions: "行政区划", "Divisions";
    table_division_changes: "区划变更", "Changes of divisions";
    table_figures: "指标定义", "Meanings of figures";
    table_scorecard: "考评权重", "Weights of the scorecard";
    table_transfers: "转办签收时限和退回次数", "Hand-overs: time to accept, and returns";
    table_retention: "保存期限", "Retention";
    table_fields: "个性化字段", "Fields of one's own";
    table_dispatch: "分派目录", "Dispatch catalogue";
    plan: "座席与中继测算", "Seats and trunks";
    plan_days: "天数", "Days";
    plan_history: "历史天数", "Days of history";
    plan_level: "接通率目标（%）", "Percent to be answered";
    plan_within: "在多少秒内", "within seconds";
    plan_handling: "每通处理时长（秒，含话后）", "Seconds a call, with what is written after it";
    plan_patience: "平均等待耐心（秒）", "Mean patience in seconds";
    plan_busy: "中继忙概率（%）", "Percent that find all trunks busy";
    plan_day: "逐刻查看的日期", "Day in quarter hours";
    plan_of_file: "按文件测算（不用本节点的历史）", "From a file, not from this node's history";
    plan_file: "历史来电文件（CSV）", "Past calls (CSV)";
    plan_file_hint: "首行 at,calls，其后每行如 2026-11-02T09:15,12；不超过 16 MB。文件只用于本次测算，不保存。", "A first line at,calls, then lines as in 2026-11-02T09:15,12; up to 16 MB. It is read for this plan and not kept.";
    plan_basis: "测算依据：", "It rests on:";
    plan_days_of_history: "天历史来电，截至", "days of past calls, up to";
    plan_file_without_calls: "文件中没有来电。", "There are no calls in the file.";
    plan_no_history: "没有历史来电：本节点在所选天数内没有受理工单。可增加历史天数，或按文件测算。", "No past calls: this node has taken none in these days. Go further back, or use a file.";
    plan_year_unknown: "所选日期中有的年份节假日安排尚未收录，按普通周历测算。", "The holidays of one of these years are not known yet; its days are told from their weekdays alone.";
    plan_too_much: "没有任何座席数或中继数能达到目标。请检查处理时长和历史来电。", "no number of seats or trunks does it. Look at the seconds a call takes, and at the past calls.";
    plan_no_day: "请填写日期，如 2026-11-30", "a day is wanted, as in 2026-11-30";
    plan_up_to: "请填整数，1 到", "a whole number is wanted, from 1 to";
    plan_no_percent: "请填 0 到 100 之间的数，不含两端", "a number between 0 and 100 is wanted, without both";
    plan_no_seconds: "请填 0.1 到 86400 秒", "0.1 to 86400 seconds are wanted";
    plan_no_text: "文件不是 UTF-8 文本", "the file is no text in UTF-8";
    plan_line: "文件行号", "line";
    plan_line_empty: "文件是空的；首行必须是 at,calls", "the file is empty; its first line must be at,calls";
    plan_line_head: "首行必须是 at,calls", "the first line must be at,calls";
    plan_line_no_pair: "应为时间和数量，用逗号分开", "it is no pair of a moment and a number";
    plan_line_moment: "时间应如 2026-11-02T09:15", "the moment is not as in 2026-11-02T09:15";
    plan_line_count: "来电数应为整数", "the calls are no whole number";
    plan_line_too_many: "一刻钟内的来电数过大，应是笔误", "so many calls in a quarter of an hour are a mistake";
    plan_line_too_long: "历史超过十年", "there are more days than ten years have";
    plan_date: "日期", "Day";
    plan_kind: "类型", "Kind";
    plan_worked_for: "调休上班：", "worked for";
    plan_taken_for: "无同类历史，按此估计：", "no such day is known; taken for a";
    plan_calls: "来电", "Calls";
    plan_busiest: "最忙时刻", "Busiest at";
    plan_peak: "最多座席", "Seats at most";
    plan_seats: "座席", "Seats";
    plan_hours: "座席小时", "Seat hours";
    plan_trunks: "中继", "Trunks";
    plan_how: "按历史同类日子（休息后首个工作日、工作日、周末、节假日）逐刻的平均来电；座席用 Erlang C（填写等待耐心时用 Erlang A），中继用 Erlang B。", "The mean of past days of the same kind (first working day, working day, weekend, holiday), quarter by quarter; seats by Erlang C (Erlang A with a patience), trunks by Erlang B.";
    plan_cost: "多一席或少一席", "One seat more or fewer";
    plan_fewer: "少一席", "one fewer";
    plan_planned: "按计划", "as planned";
    plan_more: "多一席", "one more";
    plan_answered: "及时接通率", "Answered in time";
    plan_wait: "平均等待", "Mean wait";
    plan_lost: "放弃率", "Give up";
    plan_taken_time: "座席占用率", "Busy";
    plan_endless: "不断增长", "without end";
    plan_quarters: "逐刻明细", "Every quarter of an hour";
    plan_from: "时刻", "From";
    day_first: "休息后首个工作日", "first working day";
    day_working: "工作日", "working day";
    day_weekend: "周末", "weekend";
    day_holiday: "节假日", "holiday";
    monday: "周一", "Mon";
    tuesday: "周二", "Tue";
    wednesday: "周三", "Wed";
    thursday: "周四", "Thu";
    friday: "周五", "Fri";
    saturday: "周六", "Sat";
    sunday: "周日", "Sun";
    accounts: "账号管理", "Accounts";
    audit: "审计日志", "Audit log";
    sign_in: "登录", "Sign in";
    sign_out: "退出登录", "Sign out";
    name: "账号", "Account";
    password: "密码", "Password";
    change_password: "修改密码", "Change password";
    old_password: "当前密码", "Present password";
    new_password: "新密码", "New password";
    again: "再输入一次新密码", "New password once more";
    password_rule: "至少 12 个字符。建议用四个互不相关的词，汉字也可以；不要求大小写或符号，也不会过期。", "At least 12 characters. Four words that do not belong together are good, and Chinese ones count; nothing is demanded of capitals or signs, and it does not expire.";
    must_change: "首次登录，请先设置自己的密码。", "This is your first sign-in: please choose a password of your own first.";
    not_the_same: "两次输入的新密码不一致。", "The two new passwords differ.";
    wrong_password: "账号或密码不正确。", "Account or password is not right.";
    account_locked: "账号已锁定，请联系管理员解锁。", "This account is locked; an administrator unlocks it.";
    wait_before: "尝试次数过多，请等待", "Too many attempts; wait";
    wait_after: "分钟后再试，或请管理员解锁。", "minutes and try again, or ask an administrator to unlock the account.";
    signed_out: "已退出登录。", "You have signed out.";
    session_ended: "登录已失效，请重新登录。未提交的草稿已保存。", "Your session has ended; please sign in again. Drafts are kept.";
    first_account: "还没有账号？管理员在服务器上运行 hotline user add。", "No account yet? Whoever runs the node makes one: hotline user add.";
    form_of_elsewhere: "表单已过期或来自其他页面，未执行任何操作。请返回后重新提交。", "The form is out of date or came from another page; nothing was done. Go back and send it again.";
    not_a_form: "这不是表单。", "This is not a form.";
    too_large: "提交的内容过大。", "What was sent is too large.";
    busy: "当前连接过多，请稍后再试。", "Too many pages are open at the moment; try again soon.";
    too_slow: "节点未及时答复，请稍后再试；已确认的内容不会丢失。", "The node did not answer in time; try again. What was acknowledged is kept.";
    not_found: "没有这个页面。", "There is no such page.";
    failed: "操作未完成", "It was not done";
    problem: "请先更正以下问题", "Please mend this first";
    may_not: "您的角色没有这项权限。", "Your role does not include this.";
    these_roles_may: "可以办理的角色：", "Roles that may:";
    fill_in: "请填写", "please fill this in";
    days_wanted: "请填 1 到 365 的天数", "a number of days from 1 to 365 is wanted";
    no_centre: "没有这个中心，请从列表中选择。", "there is no such centre; choose one of the list.";
    near_centre: "该地由以下中心负责：", "Answering for that place:";
    required: "必填", "required";
    optional: "可不填", "optional";
    keys: "快捷键", "Keys";
    keys_hint: "按 ? 查看快捷键", "Press ? for the keys";
    close_dialog: "关闭", "Close";
    footer: "数据保存在本节点，断网时照常工作。", "Data is kept on this node, which works with every line down.";
    search: "搜索", "Search";
    search_hint: "关键词、拼音首字母、工单号、车牌", "Words, pinyin initials, number, plate";
    results_for: "搜索结果", "Results";
    nothing_here: "这里没有工单。", "No tickets here.";
    also_open: "同时打开此工单的还有：", "Also has this ticket open:";
    sticks: "最近的 U 盘", "The last sticks";
    stick_in: "读入", "read";
    stick_out: "写出", "written for";
    next_step: "下一步：", "Next:";
    older: "更早的工单", "Older tickets";
    newest: "最新的工单", "Newest tickets";
    queue_held: "本单位承办", "Held here";
    queue_to_accept: "待签收", "To accept";
    queue_offered: "已转办待签收", "Offered away";
    queue_returned: "被退回", "Returned";
    queue_overdue: "已超期", "Overdue";
    queue_due_soon: "即将到期", "Nearly overdue";
    queue_open: "全部未办结", "Open";
    queue_closed: "已办结", "Closed";
    queue_conflicts: "需要人工查看", "Conflicts";
    queue_all: "全部", "All";
    number: "工单号", "Number";
    subject: "主题", "Subject";
    stage: "阶段", "Stage";
    count: "数量", "Count";
    custodian: "承办单位", "Held by";
    urgency: "紧急程度", "Urgency";
    due: "办理时限", "Due";
    age: "受理时间", "Taken";
    no_subject: "（无主题）", "(no subject)";
    offered_to: "已转办至", "offered to";
    stage_in_hand: "办理中", "in hand";
    stage_dispatched: "已交办部门", "dispatched";
    stage_fed_back: "部门已反馈", "fed back";
    stage_offered: "转办待签收", "offered";
    stage_redirected: "已告知", "redirected";
    stage_rejected: "不予受理", "rejected";
    stage_answered: "已当场答复", "answered";
    stage_replied: "已回复", "replied";
    stage_joined: "已并单", "joined";
    stage_closed: "已办结", "closed";
    stage_unknown: "未知阶段", "unknown";
    just_now: "刚刚", "just now";
    minutes_ago: "分钟前", "min ago";
    hours_ago: "小时前", "h ago";
    days_ago: "天前", "days ago";
    held_by_now: "现在由谁承办", "Who holds it now";
    taken_by: "受理单位", "Taken by";
    query_code: "查询码", "Query code";
    query_code_hint: "来电人凭工单号和查询码可上网查询进度", "with it and the number the caller looks up how it stands";
    waiting_for: "等待签收：", "waiting for";
    confidential: "举报人保密", "Confidential reporter";
    confidential_note: "举报人身份和内容已加密，仅保密席可以在说明理由后查看。", "Who made this report, and what was said, is sealed: only the confidential desk sees it, for a reason.";
    erased_note: "来电人信息和文件已永久删除。", "The caller's data and the files were erased for ever.";
    not_counted_note: "该工单的首条记录未被计入：其作者的证书已被吊销。", "This ticket's beginning does not count: its author was revoked.";
    ticket: "工单", "Ticket";
    facts: "基本情况", "Facts";
    body: "来电内容", "What the caller said";
    both_values: "同时改成了不同的值：", "set to different values at once:";
    caller: "来电人", "Caller";
    caller_hidden: "来电人信息已加密。查看须说明理由，并会记入日志。", "The caller's data is sealed. Seeing it needs a reason, and is logged.";
    caller_none: "没有登记来电人信息。", "Nothing is known of the caller.";
    reveal: "查看来电人", "Show the caller";
    reveal_reason: "查看理由", "Reason";
    reveal_shown: "以下为来电人信息，本次查看已记入日志。离开本页后不再显示。", "This is the caller; that you looked is logged. It is gone when you leave the page.";
    notes: "备注", "Notes";
    add_note: "添加备注", "Add a note";
    note_text: "备注内容", "Note";
    files: "附件", "Files";
    trail: "流转轨迹", "Trail";
    mark_superseded: "未生效", "superseded";
    mark_unentitled: "无效", "no effect";
    actions: "可以办理", "What you can do now";
    no_actions: "现在没有您可以办理的操作，原因见下。", "There is nothing that you can do now; the reasons are below.";
    not_now: "现在不能办理的操作及原因", "What cannot be done now, and why";
    who_may: "可以办理的单位：", "may do it:";
    your_role: "您的角色没有这项权限，可以办理的角色：", "Your role does not include it; roles that may:";
    copies: "谁持有副本", "Who holds a copy";
    audience: "应持有的单位：", "Sites that are to hold it:";
    all_has: "已全部收到", "has all of it";
    still_lacks: "尚缺变更", "changes still to come";
    being_sent: "正在核对", "being compared";
    link_up: "线路正常", "link up";
    link_down: "线路中断", "link down";
    no_peers: "没有其他单位需要持有这张工单的副本，或线路尚未配置。", "No linked site is to hold a copy.";
    confirm_reply: "此前的回复未生效，可以确认为本单位的回复：", "An earlier reply was superseded; you can confirm it as yours:";
    confirm_this: "确认此回复", "Confirm this reply";
    print: "打印工单", "Print";
    print_page: "打印", "Print";
    work_order: "工单（A4）", "Work order";
    printed: "打印时间", "Printed";
    signature: "承办人签字", "Signature";
    done_note: "备注已添加。", "The note was added.";
    file: "文件", "File";
    attach: "上传附件", "Attach a file";
    attach_hint: "照片、录音、扫描件，不超过 16 MB；更大的由运维人员在节点上添加。", "A photo, a recording, a scan, up to 16 MB; larger ones are attached on the node itself.";
    file_too_large: "文件超过 16 MB。更大的文件请由运维人员在节点上添加：hotline ticket attach。", "The file has more than 16 MB. Larger ones are attached on the node itself: hotline ticket attach.";
    done_file: "附件已保存。", "The file is attached.";
    done_act: "已完成：", "Done:";
    done_new: "工单已生成。", "The ticket was made.";
    act_accept: "签收", "Accept";
    act_decline: "退回", "Decline";
    act_answer: "当场答复", "Answer at once";
    act_redirect: "告知或转接", "Redirect";
    act_reject: "不予受理", "Reject";
    act_dispatch: "交办部门", "Dispatch to a department";
    act_feedback: "登记部门反馈", "Enter the department's answer";
    act_progress: "报告进展", "Report progress";
    act_reply: "回复来电人", "Reply to the caller";
    act_close: "办结", "Close";
    act_follow_up: "回访", "Follow up";
    act_reopen: "重新办理", "Reopen";
    act_offer: "转办其他单位", "Offer to another site";
    act_withdraw: "撤回转办", "Withdraw the offer";
    act_assign: "指派", "Assign";
    act_recall: "收回自办", "Recall";
    act_urge: "催办", "Urge";
    act_supervise: "督办", "Supervise";
    act_escalate: "提请上级指派", "Escalate";
    act_pause: "暂停计时", "Pause the clock";
    act_extend: "申请延期", "Ask for an extension";
    act_grant_extension: "批准延期", "Grant an extension";
    not_served: "您的账号不为该中心服务：", "Your account does not serve this centre:";
    served_centre: "为哪个中心受理", "Taken for";
    department: "所属部门", "Department";
    department_hint: "交办时写的部门名称；留空为不属于任何部门", "Its name as dispatches give it; none: no department";
    queue_mine: "我的", "Mine";
    queue_team: "本部门", "My department";
    queue_urged: "催办督办", "Urged";
    queue_follow_up: "待回访", "To follow up";
    queue_confidential: "保密", "Confidential";
    sift: "筛选和排序", "Narrow and sort";
    sift_any: "不限", "Any";
    sift_show: "显示", "Show";
    sift_clear: "清除", "Clear";
    sift_first: "受理日期从", "Taken from";
    sift_last: "到", "to";
    sort: "排序", "Order";
    sort_newest: "新的在前", "Newest first";
    sort_oldest: "旧的在前", "Oldest first";
    sort_due: "先到期的在前", "First to end first";
    sift_recent: "只筛选最近 5 万件；更早的请搜索，或在统计分析中查看。", "Only the newest 50,000 tickets are looked through; for older ones search, or open them from the figures.";
    team_none: "您的账号没有所属部门；请管理员在“账号”页面或用 hotline user department 设置。", "Your account belongs to no department; an administrator says to which, on the page of accounts or by hotline user department.";
    held_by_agent: "经办", "With";
    serves: "远程座席服务的中心", "Serves other centres";
    serves_hint: "中心代码，用空格分开；留空为只服务本单位", "Codes of centres with blanks between them; none: this site only";
    set_serves: "保存", "Save";
    act_correct: "更正要素", "Correct facts";
    correct_hint: "只保存改动过的项目，并记入流转轨迹。", "Only what you change is kept, and the trail tells it.";
    correct_theirs: "他人刚刚改为：", "Somebody else has just made it:";
    correct_choose: "您填写的内容保留在框中，再次提交即采用您的内容。", "What you wrote is in the field; send it again to have it so.";
    take_this: "采用此内容", "Take this one";
    act_merge: "并入其他工单", "Join to another ticket";
    act_unmerge: "取消并单", "Undo the joining";
    act_keep: "保全来电人信息", "Keep the caller's data";
    act_release: "解除保全", "Release what is kept";
    field_reason: "理由", "Reason";
    field_text: "内容", "Text";
    field_to: "单位", "Site";
    field_department: "部门", "Department";
    field_result: "办结情况", "Result";
    field_days: "天数", "Days";
    field_satisfied: "是否满意", "Satisfied?";
    field_into: "并入的工单号", "Number of the ticket to join";
    field_grant: "延期申请", "Request";
    field_redirect: "告知号码", "Hotline";
    yes: "满意", "yes";
    no: "不满意", "no";
    not_said: "未表态", "not said";
    person_name: "姓名", "Name";
    person_phone: "电话", "Telephone";
    person_address: "地址", "Address";
    person_kind: "身份", "Who";
    call: "来电登记", "A call";
    caller_phone: "来电号码", "Caller's number";
    caller_name: "来电人姓名", "Caller's name";
    caller_kind: "来电人身份", "Who calls";
    look_up: "查历史来电", "Earlier calls";
    earlier: "该号码此前的工单", "Earlier tickets of this number";
    earlier_none: "该号码此前没有工单。", "This number has no earlier tickets.";
    earlier_hint: "输入号码后，这里显示该来电人此前的工单。", "Type a number: earlier tickets of the caller show here.";
    kind: "业务类型", "Kind";
    kind_consult: "信息咨询", "Consultation";
    kind_complaint: "投诉举报", "Complaint or report";
    kind_suggestion: "意见建议", "Suggestion";
    domain: "业务领域", "Domain";
    choose: "请选择", "choose";
    region: "所属区划", "Region";
    region_hint: "六位区划代码，可输入名称查找", "Six-digit code; type a name to find it";
    place: "地点", "Place";
    happened_at: "发生时间", "When it happened";
    plate: "车牌号", "Plate";
    own_fields: "个性化字段", "Fields of this centre";
    own_only_for: "仅用于：", "only for:";
    own_too_long: "最多 500 字，请缩短", "at most 500 characters; shorten it";
    own_not_of: "应为以下之一：", "must be one of:";
    own_no_number: "应为数字", "a number is wanted";
    own_phone: "这是电话号码，请填在来电号码一栏", "this is a telephone number; write it where the caller's stands";
    own_no_date: "应为日期，如 2026-11-30", "a day is wanted, as in 2026-11-30";
    own_neither: "应为“是”或“否”", "yes or no is wanted";
    said_yes: "是", "yes";
    said_no: "否", "no";
    text: "来电内容", "What the caller says";
    text_hint: "正文中的电话号码会自动遮蔽；请勿在正文中写来电人姓名。", "Telephone numbers in the text are masked; leave the caller's name out of it.";
    subject_hint: "不填则取正文第一句", "The first sentence of the text if left empty";
    urgency_ordinary: "一般", "ordinary";
    urgency_urgent: "紧急", "urgent";
    urgency_critical: "特急", "critical";
    make_confidential: "举报人要求保密", "The reporter asks for confidentiality";
    against: "被举报的热线单位（保密举报时）", "Unit of the hotline that the report is about";
    answer_text: "答复内容", "Answer given";
    answer_button: "当场答复并登记", "Answer at once";
    make_button: "生成工单", "Make the ticket";
    redirect_button: "告知并登记", "Redirect";
    reject_button: "不予受理并登记", "Reject";
    redirects: "非本热线业务：告知或立即转接", "Not our matter: tell, or connect now";
    connect_now: "立即转接", "connect now";
    tell_number: "告知号码", "tell the number";
    nothing_chosen: "不转", "none";
    draft_restored: "已恢复上次未提交的草稿。", "An unsent draft was restored.";
    draft_drop: "放弃草稿", "Discard the draft";
    draft_saved: "草稿已保存", "Draft saved";
    text_missing: "来电内容：请填写来电人说了什么", "Text: write what the caller said";
    answer_missing: "答复内容：当场答复时请填写", "Answer: fill in what was answered";
    reject_missing: "答复内容：不予受理时请写明理由", "Answer: say why it is not taken up";
    redirect_missing: "请选择告知的号码", "Choose the hotline that the caller is told of";
    links: "线路", "Links";
    links_fine: "所有线路正常。", "All links are up.";
    no_links: "本节点没有配置线路，独立工作。", "This node has no peers and works alone.";
    not_heard_a: "已有", "has not heard from";
    never_heard: "尚未收到过", "has never heard from";
    service_fine: "本地受理不受影响。", "Service here is not affected.";
    changes_wait: "项变更等待发送", "changes wait to be sent";
    proved: "已核对一致", "proved equal";
    last_proved: "上次核对一致", "last proved equal";
    never: "从未", "never";
    today: "今日受理", "Taken today";
    last_days: "近七日受理", "Taken in the last seven days";
    waiting: "待办理", "Waiting";
    by_stage: "各阶段工单", "Tickets by stage";
    clock_doubt: "本机日期存疑，请核对日期后由运维人员确认。", "This machine's date is in doubt; whoever runs the node confirms it.";
    hour: "时", "h";
    role: "角色", "Role";
    state: "状态", "State";
    state_active: "正常", "active";
    state_locked: "已锁定", "locked";
    state_fresh: "待改初始密码", "first password not changed";
    last_sign_in: "最近登录", "Last sign-in";
    add_account: "新建账号", "New account";
    lock: "锁定", "Lock";
    unlock: "解锁", "Unlock";
    reset: "重设密码", "New password";
    remove: "删除", "Remove";
    set_role: "改为此角色", "Set role";
    first_password_for: "初始密码（只显示一次，请当面告知）：", "First password (shown once; hand it over in person):";
    removed: "账号已删除。", "The account was removed.";
    changed: "已修改，该账号已全部退出登录。", "Changed; the account was signed out everywhere.";
    not_yourself: "不能对自己的账号执行此操作。", "This cannot be done to your own account.";
    confirm_remove: "确认删除：删除后账号名永不再用", "Yes, remove it; the name is never given again";
    role_agent: "话务员", "agent";
    role_shift_leader: "班长", "shift leader";
    role_handler: "业务部门", "handler";
    role_follow_up: "回访员", "follow-up";
    role_supervisor: "督办", "supervisor";
    role_auditor: "审计", "auditor";
    role_administrator: "管理员", "administrator";
    time: "时间", "Time";
    who: "账号", "Who";
    from: "来自", "From";
    what: "操作", "What";
    detail: "说明", "Detail";
    audit_whole: "日志链完整。已核对最近行数（全部核对用 hotline audit --verify）：", "The chain is whole. Newest lines that were checked (all of them: hotline audit --verify):";
    audit_broken: "日志链不完整：", "The chain is broken:";
    audit_head: "最新一行的哈希（建议另行记录）：", "Hash of the newest line (note it elsewhere):";
    reveals: "来电人信息查看记录", "Log of reveals";
    show_reveals: "显示查看记录", "Show the log of reveals";
    key_help: "显示快捷键", "Show the keys";
    key_search: "搜索", "Search";
    key_next: "下一条", "Next row";
    key_previous: "上一条", "Previous row";
    key_open: "打开选中的工单", "Open the chosen ticket";
    key_leave: "离开输入框", "Leave a field";
    knowledge: "知识库", "Knowledge";
    article: "文章", "Article";
    articles: "文章列表", "Articles";
    new_article: "新建文章", "New article";
    new_supplement: "补充上级文章", "Supplement a superior's article";
    edit_article: "编写新版本", "Write the next version";
    no_articles: "这里没有文章。", "No articles here.";
    article_search_hint: "关键词、拼音首字母、编号", "Words, pinyin initials, code";
    articles_published: "已发布", "In force";
    articles_drafts: "草稿", "Drafts";
    articles_unreviewed: "待审核", "To review";
    articles_to_publish: "待发布", "To publish";
    articles_expiring: "即将到期", "Ending soon";
    articles_expired: "已过期", "Past their end";
    articles_proposed: "下级推荐", "Proposed to us";
    articles_changed: "原文已变", "Original changed";
    articles_unhelpful: "待改进", "To improve";
    articles_withdrawn: "已停用", "Withdrawn";
    standing_published: "已发布", "in force";
    standing_draft: "草稿", "draft";
    standing_reviewed: "已审核", "reviewed";
    standing_withdrawn: "已停用", "withdrawn";
    not_today: "今天不适用", "does not hold today";
    article_code: "编号", "Code";
    article_title: "标题", "Title";
    article_body: "正文", "Text";
    article_owner: "所属单位", "Owner";
    article_field: "业务领域", "Field";
    article_tags: "标签", "Tags";
    tags_hint: "用逗号分开", "with commas between them";
    article_readers: "阅读范围", "Readers";
    readers_public: "可对外公开", "the public";
    readers_agent: "仅供内部", "agents only";
    article_valid: "有效期", "Holds";
    valid_from: "生效日期", "First day";
    valid_to: "失效日期", "Last day";
    article_always: "长期有效", "always";
    article_source: "依据", "Source";
    version: "版本", "Version";
    versions: "历次版本", "Versions";
    in_force_now: "当前生效", "in force";
    reviewed_by: "审核：", "reviewed by";
    this_version_only: "您在看的不是当前生效的版本。", "This is not the version that is in force.";
    compare: "对比", "Compare";
    compared: "版本对比", "Versions compared";
    compare_from: "旧版本", "Earlier";
    compare_to: "新版本", "Later";
    line_added: "新增", "added";
    line_removed: "删除", "removed";
    reaches: "下发范围", "Who gets it";
    and_below: "及所有下级", "and everybody below";
    supplement_of: "本文补充：", "Supplement of";
    supplements: "下级补充", "Supplements";
    original_changed: "原文在本补充之后有变化，请核对并修订。", "The original has changed since this was written: look again, and revise it.";
    original_absent: "原文不在本节点。", "The original is not here.";
    save_draft: "保存为草稿", "Save as a draft";
    title_missing: "标题：请填写", "Title: fill it in";
    body_missing: "正文：请填写", "Text: fill it in";
    act_revise: "编写新版本", "Write the next version";
    act_review: "审核通过", "Let the draft pass";
    act_publish: "发布", "Put into force";
    act_retire: "停用", "Take out of force";
    act_propose: "推荐给上级", "Propose to the superior";
    act_adopt: "采用为本单位文章", "Adopt";
    act_supplement: "补充", "Supplement";
    act_used: "采用", "Used";
    act_detach: "移除附件", "Remove the file";
    attach_article_hint: "附件随新版本（草稿）保存，审核发布后生效。", "A file comes with the next version, a draft, which is reviewed as any other.";
    act_unhelpful: "未解决", "Did not help";
    used_hint: "采用这篇文章答复了来电人", "Somebody was answered with its help";
    unhelpful_hint: "看了这篇文章，但没有解决问题", "It was read and did not help";
    use_below: "近30天本级及下级", "In 30 days, here and below";
    use_by_site: "按单位查看", "By site";
    use_noted: "已记录", "Noted";
    done_article: "草稿已保存。", "The draft is saved.";
    said_create: "创建", "made";
    said_adopted: "被上级采用", "adopted by a superior";
    said_unknown: "新版本程序写入的记录", "written by a newer version of the program";
    suggested: "可能用得上的知识", "Articles that may help";
    suggested_hint: "填写来电内容时，这里显示相关知识。", "Type what the caller says: articles about it show here.";
    suggested_none: "没有找到相关知识。", "No article is about this.";
    look_for_articles: "查重复工单和知识", "Find duplicates and articles";
    similar: "可能重复的工单", "Possible duplicates";
    similar_hint: "填写来电内容、车牌或地点时，这里显示近 30 天和未办结的相似工单。", "Type what the caller says, a plate or a place: open tickets alike and those of 30 days show here.";
    similar_none: "没有找到相似工单。", "No ticket is like this.";
    similar_why: "相同：", "Shared:";
    ticket_changed: "工单已有新变化，您填写的内容仍保留。", "The ticket has changed; what you typed is kept.";
    reload: "刷新", "Reload";
}

impl Words {
    /// The words of a language.
    pub(super) fn of(language: Language) -> &'static Words {
        match language {
            Language::Zh => &ZH,
            Language::En => &EN,
        }
    }

    /// What a role is called.
    pub(super) fn role(&self, role: Role) -> &'static str {
        match role {
            Role::Agent => self.role_agent,
            Role::ShiftLeader => self.role_shift_leader,
            Role::Handler => self.role_handler,
            Role::FollowUp => self.role_follow_up,
            Role::Supervisor => self.role_supervisor,
            Role::Auditor => self.role_auditor,
            Role::Administrator => self.role_administrator,
        }
    }

    /// What a stage is called.
    pub(super) fn stage(&self, name: &str) -> &'static str {
        match name {
            "in_hand" => self.stage_in_hand,
            "dispatched" => self.stage_dispatched,
            "fed_back" => self.stage_fed_back,
            "offered" => self.stage_offered,
            "redirected" => self.stage_redirected,
            "rejected" => self.stage_rejected,
            "answered" => self.stage_answered,
            "replied" => self.stage_replied,
            "joined" => self.stage_joined,
            "closed" => self.stage_closed,
            _ => self.stage_unknown,
        }
    }

    /// What an action is called; nothing for one that there is not.
    pub(super) fn act(&self, name: &str) -> &'static str {
        match name {
            "accept" => self.act_accept,
            "decline" => self.act_decline,
            "answer" => self.act_answer,
            "redirect" => self.act_redirect,
            "reject" => self.act_reject,
            "dispatch" => self.act_dispatch,
            "feedback" => self.act_feedback,
            "progress" => self.act_progress,
            "reply" => self.act_reply,
            "close" => self.act_close,
            "follow-up" => self.act_follow_up,
            "reopen" => self.act_reopen,
            "offer" => self.act_offer,
            "withdraw" => self.act_withdraw,
            "assign" => self.act_assign,
            "recall" => self.act_recall,
            "urge" => self.act_urge,
            "supervise" => self.act_supervise,
            "escalate" => self.act_escalate,
            "pause" => self.act_pause,
            "extend" => self.act_extend,
            "grant-extension" => self.act_grant_extension,
            "correct" => self.act_correct,
            "merge" => self.act_merge,
            "unmerge" => self.act_unmerge,
            "keep" => self.act_keep,
            "release" => self.act_release,
            _ => "",
        }
    }

    /// What is done with an article, and what its trail calls it.
    pub(super) fn article_act(&self, name: &str) -> &'static str {
        match name {
            "create" => self.said_create,
            "revise" => self.act_revise,
            "review" => self.act_review,
            "publish" => self.act_publish,
            "withdraw" => self.act_retire,
            "propose" => self.act_propose,
            "adopt" => self.act_adopt,
            "adopted" => self.said_adopted,
            "supplement" => self.act_supplement,
            "used" => self.act_used,
            "unhelpful" => self.act_unhelpful,
            "detach" => self.act_detach,
            _ => self.said_unknown,
        }
    }

    /// How an article stands.
    pub(super) fn standing(&self, name: &str) -> &'static str {
        match name {
            "published" => self.standing_published,
            "reviewed" => self.standing_reviewed,
            "withdrawn" => self.standing_withdrawn,
            _ => self.standing_draft,
        }
    }

    /// What an action's field is called.
    pub(super) fn field(&self, name: &str) -> &'static str {
        match name {
            "reason" => self.field_reason,
            "to" => self.field_to,
            "department" => self.field_department,
            "result" => self.field_result,
            "days" => self.field_days,
            "satisfied" => self.field_satisfied,
            "into" => self.field_into,
            "grant" => self.field_grant,
            _ => self.field_text,
        }
    }

    /// What a fact is called; an extra field by its own name.
    pub(super) fn fact<'a>(&self, name: &'a str) -> &'a str {
        self.of_both(facts::label(name))
    }

    /// The same where a centre's own fields are known: one of those by its label.
    pub(super) fn label<'a>(&self, name: &'a str, fields: &'a OwnFields) -> &'a str {
        self.of_both(facts::label_of(name, fields))
    }

    /// What a field of the centre's own is called.
    pub(super) fn own<'a>(&self, field: &'a OwnField) -> &'a str {
        self.of_both(field.label())
    }

    fn of_both<'a>(&self, (zh, en): (&'a str, &'a str)) -> &'a str {
        match self.language {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    /// Yes or no, which are stored in Chinese.
    pub(super) fn yes_or_no<'a>(&self, word: &'a str) -> &'a str {
        match word {
            "是" => self.said_yes,
            "否" => self.said_no,
            other => other,
        }
    }

    /// Why something may not stand in a field of the centre's own.
    pub(super) fn unfit(&self, unfit: Unfit<'_>) -> String {
        match unfit {
            Unfit::Missing => self.fill_in.to_owned(),
            Unfit::TooLong => self.own_too_long.to_owned(),
            Unfit::NotOf(choices) => format!("{} {}", self.own_not_of, choices.join("、")),
            Unfit::NoNumber => self.own_no_number.to_owned(),
            Unfit::Phone => self.own_phone.to_owned(),
            Unfit::NoDate => self.own_no_date.to_owned(),
            Unfit::NeitherYesNorNo => self.own_neither.to_owned(),
        }
    }

    /// What a part of a caller's person is called.
    pub(super) fn person<'a>(&self, name: &'a str) -> &'a str {
        match name {
            "name" => self.person_name,
            "phone" => self.person_phone,
            "address" => self.person_address,
            "kind" => self.person_kind,
            other => other,
        }
    }

    /// An urgency, which is stored in Chinese.
    pub(super) fn urgency<'a>(&self, word: &'a str) -> &'a str {
        match word {
            "紧急" => self.urgency_urgent,
            "特急" => self.urgency_critical,
            "一般" => self.urgency_ordinary,
            other => other,
        }
    }

    /// What figures are told apart by; empty for nothing.
    pub(super) fn dimension(&self, name: &str) -> &'static str {
        match name {
            "business" => self.by_business,
            "domain" => self.by_domain,
            "topic" => self.by_topic,
            "channel" => self.by_channel,
            "unit" => self.by_unit,
            "region" => self.by_region,
            "handler" => self.by_handler,
            "day" => self.by_day,
            _ => "",
        }
    }

    /// What a table that can be set is called; one of a later version by its own name.
    pub(super) fn table<'a>(&self, name: &'a str) -> &'a str {
        match name {
            "time_limits" => self.table_time_limits,
            "holidays" => self.table_holidays,
            "redirects" => self.table_redirects,
            "legacy_numbers" => self.table_legacy_numbers,
            "categories" => self.table_categories,
            "centres" => self.table_centres,
            "divisions" => self.table_divisions,
            "division_changes" => self.table_division_changes,
            "figures" => self.table_figures,
            "scorecard" => self.table_scorecard,
            "transfers" => self.table_transfers,
            "retention" => self.table_retention,
            "fields" => self.table_fields,
            "dispatch" => self.table_dispatch,
            other => other,
        }
    }

    /// How an edition of a rule stands.
    pub(super) fn rule_standing(&self, name: &str) -> &'static str {
        match name {
            "in force" => self.rule_in_force,
            "coming" => self.rule_coming,
            "past" => self.rule_past,
            "withdrawn" => self.rule_withdrawn,
            _ => self.rule_not_read,
        }
    }

    /// How a tier's table stands to those above it.
    pub(super) fn rule_how(&self, name: &str) -> &'static str {
        match name {
            "years" => self.how_years,
            "add" => self.how_add,
            "tighten" => self.how_tighten,
            _ => self.how_replace,
        }
    }

    /// What a tier is called.
    pub(super) fn tier(&self, name: &str) -> &'static str {
        match name {
            "ministry" => self.tier_ministry,
            "province" => self.tier_province,
            "city" => self.tier_city,
            _ => self.tier_office,
        }
    }

    /// What a kind of day is called.
    pub(super) fn kind_of_day(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::First => self.day_first,
            Kind::Working => self.day_working,
            Kind::Weekend => self.day_weekend,
            Kind::Holiday => self.day_holiday,
        }
    }

    /// A weekday, shortly.
    pub(super) fn weekday(&self, day: Weekday) -> &'static str {
        match day {
            Weekday::Monday => self.monday,
            Weekday::Tuesday => self.tuesday,
            Weekday::Wednesday => self.wednesday,
            Weekday::Thursday => self.thursday,
            Weekday::Friday => self.friday,
            Weekday::Saturday => self.saturday,
            Weekday::Sunday => self.sunday,
        }
    }

    /// What is wrong in a line of past calls.
    pub(super) fn plan_wrong(&self, wrong: Wrong) -> &'static str {
        match wrong {
            Wrong::Empty => self.plan_line_empty,
            Wrong::Head => self.plan_line_head,
            Wrong::NoPair => self.plan_line_no_pair,
            Wrong::Moment => self.plan_line_moment,
            Wrong::Count => self.plan_line_count,
            Wrong::TooMany => self.plan_line_too_many,
            Wrong::TooLong => self.plan_line_too_long,
        }
    }

    /// How long ago a time of RFC 3339 was, in words.
    pub(super) fn ago(&self, at: &str, now_ms: u64) -> String {
        let Ok(at) = at.parse::<jiff::Timestamp>() else { return String::new() };
        let minutes = (now_ms as i64 - at.as_millisecond()) / 60_000;
        match minutes {
            i64::MIN..1 => self.just_now.to_owned(),
            1..60 => format!("{minutes} {}", self.minutes_ago),
            60..2880 => format!("{} {}", minutes / 60, self.hours_ago),
            _ => format!("{} {}", minutes / 1440, self.days_ago),
        }
    }

    /// A span of time in words.
    pub(super) fn span(&self, ms: u64) -> String {
        let minutes = ms / 60_000;
        let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
        match (self.language, days, hours) {
            (Language::Zh, 0, 0) => format!("{minutes} 分钟"),
            (Language::Zh, 0, _) => format!("{hours} 小时 {minutes} 分钟"),
            (Language::Zh, ..) => format!("{days} 天 {hours} 小时"),
            (Language::En, 0, 0) => format!("{minutes} min"),
            (Language::En, 0, _) => format!("{hours} h {minutes} min"),
            (Language::En, ..) => format!("{days} d {hours} h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::acts::ACTS;
    use super::*;
    use crate::reference::Reference;
    use crate::users::rights::ROLES;

    #[test]
    fn both_columns_are_full_and_in_their_language() {
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for (name, zh, en) in TABLE {
            assert!(!zh.trim().is_empty() && !en.trim().is_empty(), "{name}");
            let crosses = matches!(*name, "tag" | "other_language" | "and");
            assert!(crosses || (chinese(zh) && !chinese(en)), "{name}: {zh} / {en}");
        }
    }

    #[test]
    fn every_action_role_and_fact_has_its_word() {
        for words in [&ZH, &EN] {
            for (act, fields) in ACTS {
                assert!(!words.act(act).is_empty(), "{act}");
                for (field, ..) in *fields {
                    assert_eq!(words.field(field) == words.field_text, *field == "text", "{field}");
                }
            }
            ROLES.into_iter().for_each(|role| assert!(!words.role(role).is_empty()));
            for policy in Reference::built_in().policies.iter() {
                assert_ne!(words.table(policy.table), policy.table);
            }
            assert_eq!(words.fact("x.lane"), "lane");
            assert_ne!(words.stage("replied"), words.stage("nothing"));
        }
    }

    #[test]
    fn ages_in_words() {
        let now = "2026-11-29T12:00:00+08:00".parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
        for (at, words) in [
            ("2026-11-29T11:59:40+08:00", "刚刚"),
            ("2026-11-29T13:00:00+08:00", "刚刚"),
            ("2026-11-29T11:15:00+08:00", "45 分钟前"),
            ("2026-11-28T11:00:00+08:00", "25 小时前"),
            ("2026-11-20T12:00:00+08:00", "9 天前"),
            ("gestern", ""),
        ] {
            assert_eq!(ZH.ago(at, now), words, "{at}");
        }
        assert_eq!(ZH.span(130 * 60_000), "2 小时 10 分钟");
        assert_eq!(EN.span(130 * 60_000), "2 h 10 min");
        assert_eq!(EN.span(50 * 3_600_000), "2 d 2 h");
    }
}
